"""Sources of raw files: official downloads, folders, the simulator."""
