"""What became of each order: the fold over the tracking log."""
