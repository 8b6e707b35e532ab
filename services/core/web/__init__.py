"""What the FastAPI services share. The one part of the core that knows HTTP; nothing else in the core imports it."""
