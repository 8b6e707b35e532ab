"""The train stage: examples -> model bundle."""
