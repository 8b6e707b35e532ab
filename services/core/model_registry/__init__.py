"""Client of the model registry (MLflow), the runs logged there, and the promotion freeze."""
