"""Audit log: a hash chain of entries in the database, and the outbox of services that have no access to it."""
