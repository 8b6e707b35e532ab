"""Runs the DVC stages in scratch workspaces and publishes their outputs.

``run.run_stages`` runs and publishes; ``versions`` has ``checkout_data``, ``push_data``, ``pull_data`` and
``collect_garbage``; ``stage.run_stage_main`` is the entry point of a stage."""
