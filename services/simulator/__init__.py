"""Plays control rooms against the running platform: calls, outcomes, faults; everything marked as simulated."""
