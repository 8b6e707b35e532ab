"""Ingestion and retraining runs, and their jobs."""
