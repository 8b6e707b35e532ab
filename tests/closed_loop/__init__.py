"""The closed loop, played against a running platform: the same code for local processes and for the Compose stack."""
