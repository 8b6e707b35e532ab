"""The server that ``python -m services.registry`` starts, and the SQLite file below it, show the same."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from services.core.bundle.manifest import bundle_hash, read_manifest
from services.core.errors import VigieError
from services.core.home import Home
from services.core.registry.client import Registry
from services.core.settings import CHECKOUT
from services.registry.server import trouble
from tests.integration.registry.conftest import registry_at


@pytest.fixture
def server(home: Home, tmp_path: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "PYTHONPATH": str(CHECKOUT),
        "VIGIE_HOME": str(home.root),
        "VIGIE_REGISTRY_PORT": str(port),
    }
    url = f"http://127.0.0.1:{port}"
    with (tmp_path / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.registry"], env=environment, cwd=tmp_path, stdout=log, stderr=log
        )
        try:
            deadline = time.monotonic() + 120
            while problem := trouble(url):
                assert process.poll() is None, (tmp_path / "server.log").read_text()
                assert time.monotonic() < deadline, problem
                time.sleep(0.25)
            yield url
        finally:
            process.terminate()
            process.wait(20)


def test_server_and_file_show_each_others_versions(
    server: str, home: Home, registry: Registry, trained: dict[str, Path], tmp_path: Path
) -> None:
    """One server for all that is asked of it: starting it takes ten seconds."""
    served = registry_at(home, server)

    by_server = served.log_run_and_register("toy", trained["good"])
    by_file = registry.log_run_and_register("toy", trained["better"])
    assert [v.number for v in served.versions("toy")] == [v.number for v in registry.versions("toy")] == [2, 1]

    for reader, version in ((registry, by_server), (served, by_file)):
        found = reader.version("toy", version.number)
        assert bundle_hash(read_manifest(reader.download(found, tmp_path / str(version.number)))) == found.bundle_hash
        assert reader.lock_file(found).startswith("schema")

    card = httpx.get(
        f"{server}/get-artifact", params={"path": "evaluation/model_card.md", "run_uuid": by_file.run_id}, timeout=30
    )
    assert card.text.startswith("# Deliveries"), "people read the card in the server's pages"

    registry.promote("toy", 1)
    served.promote("toy", 2)
    assert registry.by_alias("toy", "champion").number == 2
    assert served.rollback("toy").number == 1
    assert registry.by_alias("toy", "champion").number == 1
    assert served.by_alias("toy", "previous") is None
    assert served.by_alias("nothing", "champion") is None
    with pytest.raises(VigieError, match="no version 9"):
        served.version("toy", 9)

    refused = trouble(server, host="registry.example:5500")
    assert refused is not None
    assert "403" in refused


def test_the_check_says_what_is_wrong_where_nothing_listens() -> None:
    problem = trouble("http://127.0.0.1:9", timeout=1.0)
    assert problem is not None
    assert "does not answer" in problem
