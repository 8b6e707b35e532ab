"""Settings of the simulator, from the environment (prefix ``VIGIE_``) or ``.env``."""

from __future__ import annotations

from pydantic import Field

from services.core.settings import Settings


class SimulatorSettings(Settings):
    """Settings of the simulator."""

    simulator_host: str = "127.0.0.1"
    simulator_port: int = Field(default=8605, ge=0, le=65_535)
    prediction_url: str = "http://127.0.0.1:8500"
    """Address of the prediction API, the same for all replicas."""
    simulator_rate_limit: float = Field(default=2_000.0, gt=0)
    """Maximum calls per second of a simulation."""
    simulator_together: int = Field(default=2, ge=1, le=20)
    """Maximum number of concurrent simulations."""
    simulator_in_flight: int = Field(default=2_000, ge=1, le=50_000)
    """Maximum number of calls that wait for their response; further ones are counted as not sent."""
    simulator_outcomes: int = Field(default=20_000, ge=100)
    """Maximum number of outcomes that wait to be reported; further ones are never reported."""
