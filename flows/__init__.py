"""Bytewax wiring and input/output. No decisions live here."""
