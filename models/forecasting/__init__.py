"""What will be ordered: a seasonal forecast, and how far off it was."""
