"""Keeps the served model equal to the registry's champion."""
