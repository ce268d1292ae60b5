"""What happened to each transaction, as this dashboard saw it."""
