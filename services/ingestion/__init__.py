"""Ingestion: acquires raw files (``sources``) and turns them into validated tables (``stage``)."""
