"""Backups of a running platform, copied in an order that makes them consistent.

1. Data on its way into a database (prediction journal, audit outbox): it is in the copy or, if delivered
   meanwhile, in the database that is copied next; delivering it twice changes nothing.
2. Databases, one snapshot each, those with references to others first.
3. Files. They exist before a database references them, are immutable, and are deleted only when unreferenced:
   a file backup taken after the database contains everything that the database's copy references."""
