"""`python -m service tune`: which settings fit this machine, this model and a time that calls may take."""
