"""Electrum servers: one interface to those of all nodes, whichever of them is well."""
