"""Worlds with a story, each in a module of its own: ``catalogue`` has them by name."""
