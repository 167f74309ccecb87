"""Delivery of notifications: what is sent to whom, by which way, in which words, and what came of it."""
