"""Exact books in arrays: names to numbers, what was seen, and the stock of every node."""
