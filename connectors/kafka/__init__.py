"""Kafka: how its brokers are reached, which topics there are, and what is sent to them."""
