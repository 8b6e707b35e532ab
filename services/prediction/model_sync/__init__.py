"""Keeps the served model in sync with the registry's champion."""
