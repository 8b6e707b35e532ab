"""Seeded mutations of official files: none may be read wrongly without a word."""
