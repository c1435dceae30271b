"""`python -m bench`: how fast the models are alone, and the service around them."""
