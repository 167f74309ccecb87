"""How ``examples/online-retail`` is built from the UCI data (a hyphen cannot be imported)."""
