"""A running service's URL in, a verdict on its latency out. Speaks HTTP only."""
