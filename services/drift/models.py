"""The versions that answered, answer in shadow, or answered before: their bundles and their frozen test rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import structlog

from services.core.bundle.predictor import Prediction, Predictor, load_arrays
from services.core.errors import VigieError
from services.core.home import Home
from services.core.registry.client import Registry
from services.core.registry.version import CHALLENGER, CHAMPION, Tag, Version
from services.core.usecases import columns as column_tools
from services.core.usecases.contract import UseCase

log = structlog.get_logger(__name__)


@dataclass
class Models:
    """``folder`` takes the bundles that are fetched; it is the run's own."""

    use_case: UseCase
    registry: Registry
    home: Home
    folder: Path
    _loaded: dict[int, Predictor | None] = field(default_factory=dict)
    _context: Mapping[str, Any] | None = None

    def champion(self) -> Version | None:
        return self.registry.by_alias(self.use_case.name, CHAMPION)

    def challenger(self) -> Version | None:
        return self.registry.by_alias(self.use_case.name, CHALLENGER)

    def before(self, champion: Version) -> Version | None:
        """The version whose place the champion took."""
        number = champion.tags.get(Tag.FOLLOWS, "")
        return self.registry.version(self.use_case.name, int(number)) if number.isdigit() else None

    def predictor(self, version: Version) -> Predictor | None:
        """The version's bundle, ready to answer; None where it cannot be run by this code."""
        if version.number not in self._loaded:
            try:
                folder = self.registry.download(version, self.folder / f"version-{version.number}")
                self._loaded[version.number] = Predictor(self.use_case, folder)
            except VigieError as error:
                log.warning("version cannot be asked", version=version.number, reason=str(error).splitlines()[0])
                self._loaded[version.number] = None
        return self._loaded[version.number]

    def predict(self, predictor: Predictor, frame: pd.DataFrame) -> Prediction:
        """What the version says to these rows: the same, bit for bit, as it said or would have said to the callers."""
        return predictor.predict(column_tools.from_frame(self.use_case.request, frame), self.context())

    def context(self) -> Mapping[str, Any]:
        """What was published for calls, such as the weather: only what the last run of the pipeline knew."""
        if self._context is None:
            path = self.home.data(self.use_case.name) / "examples" / "context.npz"
            self._context = load_arrays(path) if path.is_file() else {}
        return self._context

    def frozen(self, version: Version) -> tuple[pd.DataFrame, dict[str, Any]]:
        """The version's frozen test rows and what ``metrics.json`` says of it."""
        folder = self.registry.download_evaluation(version, self.folder / f"evaluation-{version.number}")
        report = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        return pd.read_parquet(folder / "test.parquet"), report

    def reference(self, predictor: Predictor) -> pd.DataFrame:
        """The bundle's sample of requests, with its answers."""
        return pd.read_parquet(predictor.folder / "reference.parquet")
