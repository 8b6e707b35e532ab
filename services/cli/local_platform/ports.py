"""Ports of the local services: which are wanted, which programs hold them, which are free instead."""

from __future__ import annotations

import socket
from collections.abc import Mapping

import psutil
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.core.errors import VigieError

HOST = "127.0.0.1"


class Ports(BaseSettings):
    """Wanted ports."""

    model_config = SettingsConfigDict(env_prefix="VIGIE_", env_file=".env", env_ignore_empty=True, extra="ignore")

    registry_port: int = Field(default=5500, ge=1, le=65535)
    prediction_port: int = Field(default=8500, ge=1, le=65535)
    gateway_port: int = Field(default=8600, ge=1, le=65535)
    ingestion_port: int = Field(default=8601, ge=1, le=65535)
    preprocessing_port: int = Field(default=8602, ge=1, le=65535)
    training_port: int = Field(default=8603, ge=1, le=65535)
    drift_port: int = Field(default=8604, ge=1, le=65535)
    simulator_port: int = Field(default=8605, ge=1, le=65535)
    dashboard_port: int = Field(default=8501, ge=1, le=65535)
    airflow_port: int = Field(default=8080, ge=1, le=65535)

    def wanted(self, *, airflow: bool = True) -> dict[str, int]:
        """Port by service."""
        found = {name.removesuffix("_port"): getattr(self, name) for name in type(self).model_fields}
        return {name: port for name, port in found.items() if airflow or name != "airflow"}


def taken_ports(wanted: Mapping[str, int]) -> dict[str, str]:
    """Services whose port another program holds, and which one, as far as this user may know."""
    return {name: port_holder(port) for name, port in wanted.items() if not is_free(port)}


def refuse_taken_ports(wanted: Mapping[str, int]) -> None:
    """Refuse to start where callers would look for the platform and find another program.

    Raises:
        VigieError: another program holds one of the ports; names all of them.
    """
    if taken := taken_ports(wanted):
        held = "; ".join(f"port {wanted[name]} ({name}) is taken by {who}" for name, who in taken.items())
        raise VigieError(
            f"{held[0].upper()}{held[1:]}.",
            action=f"End it, set {', '.join(f'VIGIE_{name.upper()}_PORT' for name in taken)} to a free port, or use "
            "--any-port to have free ones chosen and shown.",
        )


def free_ports(wanted: Mapping[str, int]) -> dict[str, int]:
    """The wanted ports, each replaced by a free one where it is taken."""
    found: dict[str, int] = {}
    for part, port in wanted.items():
        while (free := free_port(port)) in found.values():
            port = 0  # noqa: PLW2901 - use another port
        found[part] = free
    return found


def replaced_ports(wanted: Mapping[str, int], chosen: Mapping[str, int]) -> list[str]:
    """A sentence for each port that is not the wanted one."""
    return [
        f"Port {wanted[name]} is taken by {port_holder(wanted[name])}: {name} listens on {port} instead."
        for name, port in chosen.items()
        if port != wanted[name]
    ]


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def free_port(wanted: int) -> int:
    """The requested port, or a free one if it is in use."""
    for candidate in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, candidate))
            except OSError:
                continue
            found: int = probe.getsockname()[1]
            return found
    raise VigieError(f"No free port on {HOST}.", action="End other programs.")


def port_holder(port: int) -> str:
    """Name and process id of the program that listens there; other users' programs have no name for us."""
    try:
        for connection in psutil.net_connections("tcp"):
            listens = connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr[1] == port
            if listens and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
    except psutil.Error:
        pass  # not allowed, or it has just ended
    return "another program"
