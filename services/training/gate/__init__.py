"""The gate: whether a challenger may replace the champion. ``docs/gate.md`` explains it."""
