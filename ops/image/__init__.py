"""A Dockerfile in, whether the image that it makes keeps its promises out; no container engine is needed."""
