"""Toy deliveries as answered calls with outcomes, written straight into the tables; models of them, in a folder."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import Engine, insert

from services.core.bundle.manifest import bundle_hash, read_manifest
from services.core.model_registry.version import RegisteredVersion
from services.core.params import Evaluate
from services.core.prediction_log.tables import OutcomeRow, PredictionRow
from services.training.evaluation.evaluate import evaluate
from tests.toy.bundles import make_examples, make_toy_bundle
from tests.toy.declaration import SIZES, USE_CASE

BEGIN = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=20)
"""When the calls came: lately, as monitoring compares with the machine's clock where versions are promoted."""


def make_model(folder: Path, *, examples: pd.DataFrame | None = None, simulated: bool = True) -> Path:
    """A bundle in ``folder/bundle`` and what evaluation says of it in ``folder/evaluation``."""
    data = make_examples(1_500) if examples is None else examples
    made = make_toy_bundle(folder / "bundle", examples=data, simulated=simulated)
    evaluate(USE_CASE, data, {}, bundle=made, params=Evaluate(), folder=folder / "evaluation")
    return folder


@dataclass
class FolderModels:
    """A registry of folders, as far as monitoring asks one."""

    folders: dict[int, Path] = field(default_factory=dict)
    aliases: dict[str, int] = field(default_factory=dict)
    tags: dict[int, dict[str, str]] = field(default_factory=dict)
    simulated: bool = True

    def add(self, number: int, folder: Path, *, alias: str = "", **tags: str) -> None:
        self.folders[number], self.tags[number] = folder, tags
        if alias:
            self.aliases[alias] = number

    def by_alias(self, _use_case: str, alias: str) -> RegisteredVersion | None:
        return self.version(_use_case, self.aliases[alias]) if alias in self.aliases else None

    def version(self, use_case: str, number: int) -> RegisteredVersion:
        manifest = read_manifest(self.folders[number] / "bundle")
        return RegisteredVersion(
            use_case, number, bundle_hash(manifest), BEGIN.isoformat(), self.simulated, "", "", tags=self.tags[number]
        )

    def download(self, version: RegisteredVersion, folder: Path) -> Path:
        return Path(shutil.copytree(self.folders[version.number] / "bundle", folder))

    def download_evaluation(self, version: RegisteredVersion, folder: Path) -> Path:
        return Path(shutil.copytree(self.folders[version.number] / "evaluation", folder))


def deliveries(
    count: int = 900, *, seed: int = 9, since: float = 2.0, slow: float = 0.0, days: float = 13.0
) -> pd.DataFrame:
    """Calls over ``days``; those in the east take ``slow`` seconds longer from the share ``since`` of them on."""
    rows = make_examples(count, seed=seed)
    moment = np.sort(np.random.default_rng(seed).uniform(0, days * 86_400, count))
    rows["called_at"] = pd.Series([BEGIN + timedelta(seconds=float(value)) for value in moment])
    late = (np.arange(count) >= since * count) & (rows["town"] == "east").to_numpy(dtype=bool)
    rows["seconds"] += np.where(late, slow, 0.0)
    rows["late"] = (rows["seconds"] > 600).astype(float)
    rows["centre"] = np.random.default_rng(seed).choice(["north", "south", "far"], count)
    return rows


def store(
    engine: Engine,
    rows: pd.DataFrame,
    *,
    version: int = 1,
    kind: str = "simulated",
    reported: Mapping[str, Any] | None = None,
    dated: timedelta = timedelta(0),
    named: str = "",
) -> None:
    """As prediction's delivery would have stored them. Outcomes arrive ten minutes after their calls.

    Calls say that they happened ``dated`` after their arrival, and reports name them with ``named`` in front."""
    predictions, outcomes = [], []
    for row in rows.to_dict("records"):
        at, id_ = row["called_at"].to_pydatetime(), str(uuid.uuid4())
        common = {
            "use_case": "toy",
            "centre": row["centre"],
            "caller_kind": "key",
            "caller_id": "k",
            "request_id": id_,
            "row_index": None,
            "simulated": kind == "simulated",
            "kind": kind,
        }
        request = {"called_at": (at + dated).isoformat(), **{name: row[name] for name in ("distance", "kind", "town")}}
        predictions.append(
            {
                **common,
                "id": id_,
                "incident_id": None,
                "received_at": at,
                "latency_us": 0,
                "model_version": str(version),
                "source": "champion",
                "risk": None,
                "pseudonymised": False,
                "request": request,
                "answer": {},
                "decisions": {},
                "warnings": [],
                "watched": None,
            }
        )
        labels = {"seconds": float(row["seconds"]), "late": bool(row["late"]), "size": SIZES[int(row["size"])]}
        outcomes.append(
            {
                **common,
                "id": str(uuid.uuid4()),
                "request_id": named + id_,
                "prediction_id": None,
                "incident_id": None,
                "received_at": at + timedelta(minutes=10),
                "happened_at": None,
                "labels": labels | dict(reported or {}),
            }
        )
    with engine.begin() as connection:
        connection.execute(insert(PredictionRow), predictions)
        connection.execute(insert(OutcomeRow), outcomes)
