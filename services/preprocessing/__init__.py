"""Preprocessing: builds training examples from raw tables and reported labels."""
