"""Outcomes that centres report."""
