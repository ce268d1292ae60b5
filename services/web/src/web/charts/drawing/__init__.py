"""Charts as pictures, tables and legends."""
