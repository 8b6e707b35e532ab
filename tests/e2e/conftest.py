"""What the end-to-end suite shares."""

from __future__ import annotations

import pytest

from tests.e2e.engine import ensure_engine
from tests.e2e.stack import make_stack


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Every image of the platform, built once."""
    ensure_engine()
    make_stack(tmp_path_factory.mktemp("build")).build()
    return tuple(f"vigie/{name}:local" for name in ("edge", "serving", "ml", "airflow"))
