"""Jobs of the stage services: rows in the database, run in child processes."""
