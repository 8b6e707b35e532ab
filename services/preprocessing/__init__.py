"""Preprocessing: raw tables and reported labels -> training examples."""
