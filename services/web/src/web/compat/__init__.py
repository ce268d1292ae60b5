"""What mempool.space and Esplora answer, in their shapes."""
