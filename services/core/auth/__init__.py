"""Authentication and authorization: principals, tokens, API keys, and the snapshot for offline verification."""
