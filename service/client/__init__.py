"""The service's client for a terminal; needs nothing but Python's standard library."""
