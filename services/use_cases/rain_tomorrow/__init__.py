"""Daily observations of Australia: rain tomorrow at a station."""
