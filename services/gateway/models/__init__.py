"""Model versions, promotion and rollback."""
