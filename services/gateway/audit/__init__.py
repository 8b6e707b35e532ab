"""Audit log and promotion freeze."""
