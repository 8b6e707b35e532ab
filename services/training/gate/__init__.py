"""The gate: decides whether a challenger may replace the champion. See ``docs/gate.md``."""
