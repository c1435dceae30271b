"""The real service in, failures made on purpose, a table of what it did about them out."""
