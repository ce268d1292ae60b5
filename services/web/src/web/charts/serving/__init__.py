"""Charts kept ready, and written as JSON and CSV."""
