"""London Fire Brigade: how long a pump takes, whether it misses the objective, how many are needed."""
