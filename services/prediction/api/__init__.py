"""HTTP API of the prediction service: routes, request validation and response models."""
