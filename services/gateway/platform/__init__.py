"""Health of the platform's components, and simulations."""
