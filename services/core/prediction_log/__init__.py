"""Prediction log: answered calls and their labels in the database, with queries, label export and retention.

The prediction service writes each response to a write-ahead log on disk before it is sent, and ships that to these
tables in the background. ``docs/prediction-log.md`` describes the whole path."""
