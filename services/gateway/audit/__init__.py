"""The audit log and the promotion freeze."""
