"""Calls that were answered and what became of them: tables, queries, training rows, retention.

The prediction service writes each answer into a journal on disk before it leaves and delivers the journal
to the tables here in the background. ``docs/prediction-log.md`` tells the whole way.
"""
