"""Live performance of the models: metrics on labelled calls, estimates without labels, and degraded segments."""
