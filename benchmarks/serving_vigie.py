"""The prediction service on one bundle, as ``python -m services.prediction`` would run it:
``python -m benchmarks.serving_vigie USE_CASE BUNDLE HOME PORT [--constant]``.

``--constant`` takes the features and the model out: after the first answer every request gets the same
values. Reading, validation, warnings, business rules, envelope, counting and HTTP stay as they are."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.core.bundle.manifest import bundle_hash, read_manifest
from services.core.logs import configure_logs
from services.prediction.__main__ import run
from services.prediction.app import create_app
from services.prediction.models import Model, Row
from services.prediction.settings import PredictionSettings


class ConstantModel(Model):
    """Answers everything like the first request."""

    _first: Row | None = None

    def predict_each(self, rows: Sequence[Mapping[str, Any]], context: Mapping[str, Any]) -> list[Row]:
        if self._first is None:
            self._first = super().predict_each(rows, context)[0]
        return [self._first] * len(rows)


@dataclass(frozen=True)
class _Version:
    bundle_hash: str
    number: int = 1
    metrics: Mapping[str, Mapping[str, float]] = ()  # type: ignore[assignment]


class _OneBundle:
    """A registry whose only version is the given bundle."""

    def __init__(self, use_case: str, bundle: Path) -> None:
        self._use_case = use_case
        self._bundle = bundle
        self._version = _Version(bundle_hash(read_manifest(bundle)), metrics={})

    def by_alias(self, use_case: str, _: str) -> _Version | None:
        return self._version if use_case == self._use_case else None

    def download(self, _: object, folder: Path) -> None:
        shutil.copytree(self._bundle, folder, dirs_exist_ok=True)


def main() -> None:
    use_case, bundle, home, port = sys.argv[1:5]
    configure_logs("prediction")
    given = {"VIGIE_HOME": home, "prediction_port": int(port), "prediction_access": "open"}
    settings = PredictionSettings.model_validate(given)
    registry = _OneBundle(use_case, Path(bundle))
    run(create_app(settings, lambda: registry, load=ConstantModel if "--constant" in sys.argv else Model), settings)


if __name__ == "__main__":
    main()
