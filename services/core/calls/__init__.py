"""What was predicted and what came of it: the tables of predictions and outcomes."""
