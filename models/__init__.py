"""Every decision, pure: no clock, randomness, environment, file, network, thread or log."""
