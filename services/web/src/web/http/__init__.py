"""What every answer has in common: bytes made once, who may ask for them, and where web listens."""
