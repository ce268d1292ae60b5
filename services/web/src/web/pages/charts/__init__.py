"""The pages of the charts."""
