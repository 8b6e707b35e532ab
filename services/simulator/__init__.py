"""The simulator: plays dispatch centres against the running platform."""
