"""Login, tokens, sessions and authentication."""
