"""Tamper evidence for a lake: seals over blocks of facts, and proofs about one order."""
