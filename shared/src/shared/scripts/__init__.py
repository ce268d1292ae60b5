"""Addresses, kinds of scripts, and what people look for. Pure: no input or output."""
