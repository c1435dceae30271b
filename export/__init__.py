"""A checkpoint in, a bundle that the service can trust out."""
