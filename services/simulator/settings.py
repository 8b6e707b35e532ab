"""Settings of the simulator, from the environment (prefix ``VIGIE_``) or ``.env``."""

from __future__ import annotations

from pydantic import Field

from services.core.settings import Settings


class SimulatorSettings(Settings):
    simulator_host: str = "127.0.0.1"
    simulator_port: int = Field(default=8605, ge=0, le=65_535)
    prediction_url: str = "http://127.0.0.1:8500"
    """Where calls go: one address for all replicas."""
    simulator_rate_limit: float = Field(default=2_000.0, gt=0)
    """Calls per second that no simulation may go beyond."""
    simulator_together: int = Field(default=2, ge=1, le=20)
    """Simulations at the same time."""
    simulator_in_flight: int = Field(default=2_000, ge=1, le=50_000)
    """Calls that may wait for their answer; what would come on top is counted as not sent."""
    simulator_outcomes: int = Field(default=20_000, ge=100)
    """Outcomes that wait to be reported; the calls that come then never get one."""
