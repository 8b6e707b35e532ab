"""Backups: what a platform keeps, taken while it runs, in an order that fits together.

1. What is on its way into a database (the prediction journal, waiting audit entries): it is in the copy or,
   delivered meanwhile, in the database that is copied next; delivering it again changes nothing.
2. Databases, one snapshot each, those that name things in others first.
3. Files. What a database names was there before it was named, is never changed and only removed when nothing
   names it: a file copied after the database is there for everything that the database's copy names.
"""
