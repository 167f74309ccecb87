"""Adapters that give a flow its slices: the same (partition, position, records) from files or Kafka."""
