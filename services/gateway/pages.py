"""Where browsers are sent: to pages of the platform, and nowhere else."""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import Request

from services.gateway.settings import GatewaySettings

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})


def local_path(text: str) -> str:
    """``text`` if it is a path of this site, else ``/``: a sign-in page sends nobody elsewhere."""
    parts = urlsplit(text)
    harmless = text.startswith("/") and not text.startswith("//") and "\\" not in text and text.isprintable()
    return text if harmless and not parts.scheme and not parts.netloc else "/"


def page_address(request: Request, settings: GatewaySettings, path: str) -> str:
    """The dashboard's page at ``path``, which ``local_path`` has seen: below the one address of the edge, or on
    the dashboard's own port. There the browser keeps the name by which it knows this machine: cookies belong to it."""
    if settings.dashboard_url is None:
        return path
    base = urlsplit(settings.dashboard_url)
    host, asked = base.netloc.rpartition(":")[0], request.headers.get("host", "").rpartition(":")[0]
    if host in _LOOPBACK and asked in _LOOPBACK:
        base = base._replace(netloc=f"{asked}:{base.port}")
    return f"{base.scheme}://{base.netloc}{path}"
