"""The prediction log: recording, write-ahead log and shipping to the database."""
