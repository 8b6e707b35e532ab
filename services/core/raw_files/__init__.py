"""Reads raw official files (CSV, Excel, images, archives) into validated, merged tables."""
