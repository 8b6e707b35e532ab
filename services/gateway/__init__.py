"""Gateway: authentication, administration, runs and models behind one API."""
