"""Shared code of the FastAPI services. The only part of the core that knows HTTP; no other part imports it."""
