"""The platform's database: PostgreSQL, or SQLite where nothing else is set. One schema, migrated by Alembic.

Each part of the core keeps its tables beside its code (``services.core.<part>.tables``) and its
migrations as a branch of their own in ``migrations/versions``, so that parts grow without waiting for
each other. ``python -m services.core.database.migrate`` brings a database up to date.
"""
