"""The whole of it at a glance: the real service, pictures of every kind, and the client."""
