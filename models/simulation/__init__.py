"""A seeded world to train and to test in. All randomness comes from a generator argument."""
