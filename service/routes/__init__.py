"""One router a file; each translates between HTTP and the modules beside."""
