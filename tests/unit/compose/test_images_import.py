"""The services of each image start with what is locked for that image, and nothing else."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import metadata

import pytest
from packaging.utils import canonicalize_name

from services.core.settings import CHECKOUT

STARTED = {
    "serving": ("services.prediction.__main__", "services.gateway.__main__", "services.gateway.maintenance"),
    "ml": (
        "services.ingestion.__main__",
        "services.ingestion.stage.__main__",
        "services.preprocessing.stage.__main__",
        "services.training.stage.__main__",
        "services.training.evaluation.__main__",
        "services.drift.jobs",
        "services.preprocessing.__main__",
        "services.training.__main__",
        "services.drift.__main__",
        "services.simulator.__main__",
        "services.registry.__main__",
        "services.core.database.migrate",
    ),
    "dashboard": ("services.dashboard.__main__", "services.dashboard.layout"),
}
"""Set of dependencies -> modules that its containers run, or load first."""

START = """
import importlib, importlib.abc, sys

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r} in this image", name=name)

ABSENT = frozenset(sys.argv[2].split(","))
sys.meta_path.insert(0, Absent())
importlib.import_module(sys.argv[1])
"""


def absent_modules(extra: str) -> set[str]:
    """Top-level modules of what is installed here and not locked for the image."""
    lock = (CHECKOUT / "requirements" / f"{extra}.txt").read_text()
    locked = {canonicalize_name(name) for name in re.findall(r"^([A-Za-z0-9._-]+)==", lock, re.MULTILINE)}
    owners = metadata.packages_distributions().items()
    return {
        module
        for module, names in owners
        if module.isidentifier() and not locked & {canonicalize_name(name) for name in names}
    }


@pytest.mark.parametrize(("extra", "module"), [(extra, name) for extra, names in STARTED.items() for name in names])
def test_a_service_starts_with_what_its_image_has(extra: str, module: str) -> None:
    absent = ",".join(sorted(absent_modules(extra) - {"services", "tests", "airflow"}))
    line = [sys.executable, "-c", START, module, absent]
    done = subprocess.run(line, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-1_500:]


def test_what_an_image_lacks_is_found() -> None:
    assert {"streamlit", "pandas", "mypy"} <= absent_modules("serving")
    assert "jwt" in absent_modules("ml")
