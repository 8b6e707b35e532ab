"""The prediction service on one bundle, as ``python -m services.prediction`` would run it:
``python -m benchmarks.serving_vigie USE_CASE BUNDLE HOME PORT [--constant] [--open]``.

It lets in who shows ``KEY``, verified with an access list on disk as while the gateway is down; ``--open`` asks
nobody.

``--constant`` takes the features and the model out: after the first answer every request gets the same
values. Reading, validation, warnings, business rules, envelope, counting and HTTP stay as they are."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from services.core.auth.credentials import hash_api_key
from services.core.auth.principal import Role
from services.core.auth.snapshot import ApiKeyEntry, AuthSnapshotDocument, JsonWebKeySet, SnapshotFile
from services.core.bundle.manifest import bundle_hash, read_manifest
from services.core.contract.use_case import Columns
from services.core.logs import configure_logging
from services.prediction.__main__ import run
from services.prediction.app import create_app
from services.prediction.inference.served_model import LoadedModel, RowPrediction
from services.prediction.settings import PredictionSettings

KEY = f"vig_abcdefghijkl_{'a' * 43}"
"""An API key of the benchmark's own."""


class ConstantModel(LoadedModel):
    """Answers everything like the first request."""

    _first: RowPrediction | None = None

    def predict_each(self, columns: Columns, context: Mapping[str, Any]) -> list[RowPrediction]:
        if self._first is None:
            self._first = super().predict_each(columns, context)[0]
        return [self._first] * len(next(iter(columns.values())))


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

    def download_unverified(self, _: object, folder: Path) -> None:
        shutil.copytree(self._bundle, folder, dirs_exist_ok=True)


def main() -> None:
    use_case, bundle, home, port = sys.argv[1:5]
    configure_logging("prediction")
    given = {"VIGIE_HOME": home, "prediction_port": int(port), "gateway_url": "http://127.0.0.1:9"}
    secret = {"service_token": "nothing-answers-at-this-address-"}
    access = {"prediction_access": "open" if "--open" in sys.argv else "required"}
    settings = PredictionSettings.model_validate({**given, **secret, **access})
    entry = ApiKeyEntry(
        id="abcdefghijkl", sha256=hash_api_key(KEY), name="benchmark", role=Role.DISPATCHER, centre="north", centres="*"
    )
    listed = AuthSnapshotDocument(issued_at=datetime.now(UTC), jwks=JsonWebKeySet(keys=[]), keys=[entry])
    SnapshotFile(settings.home.access_list).save(listed)
    registry = _OneBundle(use_case, Path(bundle))
    run(
        create_app(settings, lambda: registry, load=ConstantModel if "--constant" in sys.argv else LoadedModel),
        settings,
    )


if __name__ == "__main__":
    main()
