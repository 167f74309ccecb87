"""Personal data: sealed before a payload is kept, by a key per person that can be destroyed."""
