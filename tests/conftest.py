"""Fixtures that every suite may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# A shared machine stalls for longer than any one example takes; the suite's own limit of time holds.
settings.register_profile("vigie", deadline=None, print_blob=True)
settings.load_profile("vigie")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real public data beside the checkout; tests that need it skip where it is absent."""
    checkout = Path(__file__).resolve().parents[1]
    folder = Path(os.environ.get("VIGIE_SHARED_DATA", checkout.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"real data not found: {folder} is absent; set VIGIE_SHARED_DATA to its folder")
    return folder
