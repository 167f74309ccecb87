"""The commands of ``crossdock``, one module per group."""
