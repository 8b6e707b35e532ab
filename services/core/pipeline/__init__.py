"""Running the DVC stages in scratch workspaces and publishing what they made.

``run.run_stages`` runs and publishes; ``versions`` has ``checkout_data``, ``push``, ``pull`` and
``collect_garbage``; ``stage.run_stage`` is how a stage itself starts."""
