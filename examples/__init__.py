"""Worked examples on real data: how each recorded log was made, and what it is held against."""
