"""Sources of raw files: official downloads, drop folders and the simulator."""
