"""Apache Kafka for tests: one node of its own, fetched once and thrown away after each run."""
