"""What the edge promises in its own file, beside what the services behind it allow."""

from __future__ import annotations

import re

import pytest

from services.core.settings import CHECKOUT
from services.core.web.connection import ConnectionLimits
from services.core.web.server import server_config
from tests.unit.compose.platform import Platform

CADDYFILE = (CHECKOUT / "deploy" / "edge" / "Caddyfile").read_text()
OTHERS_IDLE_SECONDS = 5
"""What uvicorn, which serves Airflow's and MLflow's pages, keeps idle connections for; the others keep them longer."""


def _block(head: str) -> str:
    """The snippet that begins with ``head``, up to the brace that closes it."""
    text = CADDYFILE[CADDYFILE.index(head) :]
    return text[: text.index("\n}")]


def _proxies() -> list[str]:
    """Each block that passes requests on, with all that is in it."""
    found = []
    for begin in re.finditer(r"^(\t+)(?:reverse_proxy|forward_auth)\b.*", CADDYFILE, re.MULTILINE):
        rest = CADDYFILE[begin.start() :]
        assert begin[0].endswith("{"), begin[0]
        found.append(rest[: rest.index(f"\n{begin[1]}}}")])
    return found


@pytest.mark.parametrize("proxy", _proxies(), ids=lambda text: text.split("\n")[0].strip("\t {"))
def test_the_edge_closes_idle_connections_before_what_is_behind_it_does(proxy: str) -> None:
    ours = "import replicas" in proxy or "gateway:8600" in proxy
    block = proxy if "keepalive" in proxy else _block("(replicas)" if ours else "(page)")
    assert ours or "import page" in proxy
    assert server_config(None).timeout_keep_alive == ConnectionLimits().idle_seconds
    [seconds] = re.findall(r"keepalive (\d+)s", block)
    assert int(seconds) < (ConnectionLimits().idle_seconds if ours else OTHERS_IDLE_SECONDS)


def test_the_edge_ends_before_compose_kills_it(platform: Platform) -> None:
    [seconds] = re.findall(r"grace_period (\d+)s", CADDYFILE)
    assert int(seconds) < int(platform.services["edge"]["stop_grace_period"].removesuffix("s"))


def test_the_edges_memory_is_bounded_by_what_it_may_keep(platform: Platform) -> None:
    """Bodies that are kept for a second try, for as many callers as there may be connections, and Go's own limit."""
    edge = platform.services["edge"]
    allowed = 1_000 if edge["mem_limit"] == "1g" else 0
    assert int(edge["environment"]["GOMEMLIMIT"].removesuffix("MiB")) < allowed
    kept = [int(size) for size in re.findall(r"request_buffers (\d+)KB", CADDYFILE)]
    assert len(kept) == CADDYFILE.count("request_buffers ")
    header = int(re.findall(r"max_header_size (\d+)KB", CADDYFILE)[0])
    callers = edge["ulimits"]["nofile"]["hard"] / 2
    assert callers * (max(kept) + header) / 1_000 < allowed


@pytest.mark.parametrize("path", ["@again", "@upload"])
def test_strangers_are_asked_who_they_are_before_a_body_is_kept(path: str) -> None:
    block = CADDYFILE[CADDYFILE.index(f"handle {path} {{") :]
    block = block[: block.index("\n\t}")]
    asked = "forward_auth {" if path == "@again" else "import guarded"
    assert 0 < block.index(asked) < block.index("reverse_proxy")
