"""The platform's database: PostgreSQL, or SQLite by default. One schema, migrated by Alembic.

Each part of the core has its tables beside its code (``services.core.<part>.tables``) and its own migration branch in
``migrations/versions``, so that parts evolve independently. ``python -m services.core.database.migrate`` upgrades a
database."""
