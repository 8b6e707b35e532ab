"""From validated raw tables to examples: one row for each thing that the models learn from."""
