"""Who may do what: roles, tokens, API keys and the list of them that services keep on disk."""
