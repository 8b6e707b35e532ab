"""Outcome reporting: routes and models for the outcomes that centres report."""
