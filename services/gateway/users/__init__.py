"""Users and centres."""
