"""Builds the platform's images: ``python -m tests.e2e.images``. The end-to-end suite then finds them in the cache."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.e2e.engine import ensure_engine
from tests.e2e.stack import make_stack

IMAGES = ("edge", "serving", "ml", "airflow", "dashboard")


def build_images(folder: Path) -> tuple[str, ...]:
    """Build every image, with settings in ``folder``; their names."""
    ensure_engine()
    make_stack(folder).build()
    return tuple(f"vigie/{name}:local" for name in IMAGES)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as settings:
        build_images(Path(settings))
