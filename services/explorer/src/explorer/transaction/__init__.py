"""Look-ups of transactions: what the node tells, with what was recorded of them and what Electrum servers add."""
