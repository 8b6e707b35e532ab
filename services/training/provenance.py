"""What made a bundle: the data's spans, the libraries' versions and the code's hash."""

from __future__ import annotations

import platform
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import numpy as np

import services
from services.core.usecases.contract import UseCase
from services.training.prepared import Prepared
from services.training.slices import CALIBRATE, TEST, TRAIN, within

_LIBRARIES = ("numpy", "pandas", "scikit-learn", "onnxmltools", "onnxruntime")


def slice_spans(use_case: UseCase, data: Prepared) -> dict[str, str | int | float]:
    """Rows and time span of each target's slices."""
    spans: dict[str, str | int | float] = {}
    for target in use_case.targets:
        label, slices = data.labels[target.name], data.slices[target.name]
        for part, word in ((TRAIN, "train"), (CALIBRATE, "calibrate"), (TEST, "test")):
            rows = np.flatnonzero(within(slices, part) & ~np.isnan(label))
            spans[f"{target.name}.{word}.rows"] = len(rows)
            if "event_time" in data.examples:
                times = data.examples["event_time"].iloc[rows]
                spans[f"{target.name}.{word}.from"] = times.min().isoformat()
                spans[f"{target.name}.{word}.to"] = times.max().isoformat()
    return spans


def versions() -> dict[str, str]:
    import xgboost  # noqa: PLC0415

    # its distribution is xgboost-cpu or xgboost, so the module itself says which version it is
    made_by = {"python": platform.python_version(), "code": code_hash(), "xgboost": xgboost.__version__}
    return made_by | {name: version(name) for name in _LIBRARIES}


def code_hash() -> str:
    """Hash of the code that decides what a bundle holds."""
    root = Path(services.__file__).parent
    digest = sha256()
    for path in sorted([*(root / "core").rglob("*.py"), *(root / "training").rglob("*.py")]):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]
