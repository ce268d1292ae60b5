"""What charts are made of: series, read and brought to points."""
