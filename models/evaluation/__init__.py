"""How well orders were routed, measured against other policies and against hindsight."""
