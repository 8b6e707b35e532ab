"""Drift service: monitors inputs, predictions and errors of the serving models, decides a verdict and acts on it."""
