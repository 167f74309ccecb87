"""What every fold reads of a slice: the clock, and columns as arrays."""
