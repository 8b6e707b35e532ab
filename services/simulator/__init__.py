"""The simulator: generates the calls and outcomes of simulated dispatch centres and sends them to the platform."""
