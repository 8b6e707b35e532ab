"""Ingestions, retrainings and jobs."""
