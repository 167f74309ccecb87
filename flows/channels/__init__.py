"""Channels: what a platform sends, as records, by a mapping file."""
