"""The command line: the composition root, which may import every service; no service may import it."""
