"""Who mined the blocks: figures of mining pools over spans of time, kept for pages and JSON alike."""
