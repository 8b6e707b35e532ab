"""Fixtures that every suite may use."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

TOGETHER = ("tests/integration/core/model_registry",)
"""Folders whose session fixtures take eight seconds and serve several modules: all of their tests in one of
pytest-xdist's processes, so that the fixtures are made once. Elsewhere a module's tests stay together."""

# A shared machine stalls for longer than any one example takes; the suite's own limit of time holds.
settings.register_profile("vigie", deadline=None, print_blob=True)
settings.load_profile("vigie")


class SharedFixtures(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> str:
        folder = nodeid.partition("::")[0].rpartition("/")[0]
        scope: str = folder if folder in TOGETHER else super()._split_scope(nodeid)
        return scope


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling | None:
    if config.getoption("dist") != "loadscope":
        return None
    # As collected: integration before unit tests. By number of tests, the dear modules would come last, one core idle.
    config.option.loadscopereorder = False
    return SharedFixtures(config, log)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real public data beside the checkout; tests that need it skip where it is absent."""
    checkout = Path(__file__).resolve().parents[1]
    folder = Path(os.environ.get("VIGIE_SHARED_DATA", checkout.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"real data not found: {folder} is absent; set VIGIE_SHARED_DATA to its folder")
    return folder
