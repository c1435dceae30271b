"""The repository in, what is shipped of it and whether that may be out."""
