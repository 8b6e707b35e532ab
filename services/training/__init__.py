"""Training: train and evaluation stages, gate, promotion, and the service that runs them as jobs."""
