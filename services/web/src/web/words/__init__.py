"""How numbers, amounts and moments are written."""
