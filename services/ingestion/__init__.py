"""Raw files: where they come from, what is right about them, and the tables that they make.

``services.ingestion.acquire.acquire`` fetches into a landing folder, ``python -m services.ingestion``
is the pure stage behind it, ``services.ingestion.tables.read_folder`` reads a folder in memory."""
