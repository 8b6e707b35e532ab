"""What monitoring stores and exports: alerts, the state of drift, metrics of processes."""
