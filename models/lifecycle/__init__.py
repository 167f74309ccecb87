"""The life of a parcel and of an order: which step leads from which phase to which."""
