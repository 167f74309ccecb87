"""Kafka by confluent-kafka: clients, topics, and a producer that loses nothing."""
