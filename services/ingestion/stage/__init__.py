"""The ingest stage: landing zone -> raw tables and quarantine. A pure function of files and parameters."""
