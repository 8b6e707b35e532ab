"""Watches inputs, outputs and errors of the models that serve, gives a verdict, and acts on it."""
