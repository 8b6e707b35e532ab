"""HTTP routes, request validation and response models of the prediction service."""
