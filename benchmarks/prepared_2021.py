"""Comparison with an earlier project on its own ground: the prepared table of 2021, its columns, its split.

The table's user columns (``place catu sexe secu1 victim_age catv obsm motor``) are those of the most severely
hurt user, picked with the label. They are a leak and are used here alone, because the earlier project used
them; Vigie's own model never sees them. Everything is learned on the rows marked ``train``; the threshold comes
from their out-of-fold predictions.

    python -m benchmarks.prepared_2021 [FOLDER OF THE SHARED DATA]
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import xgboost
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import f1_score, roc_auc_score

from services.use_cases.road_accidents import encodings
from services.use_cases.road_accidents import encodings as surroundings
from services.use_cases.road_accidents.encodings import GroupLevel

TABLE = Path("road_accidents/2021-seed-split/accidents-2021.parquet")
EARLIER = {"f1_weighted": 0.778, "roc_auc": 0.839}
"""What the earlier project reports on the same rows."""
FOLDS = 5
_LEVELS = (
    GroupLevel("department", None, 50.0),
    GroupLevel("commune", "department", 10.0),
    GroupLevel("road", "commune", 5.0),
    GroupLevel("vehicle", None, 20.0),
    GroupLevel("scene", "vehicle", 20.0),
)
_TREES = {
    "objective": "binary:logistic",
    "max_depth": 5,
    "eta": 0.05,
    "min_child_weight": 10,
    "subsample": 0.8,
    "colsample_bytree": 0.3,
    "lambda": 3.0,
    "nthread": 2,
    "seed": 7,
}
_ROUNDS = 350
Floats = NDArray[np.float64]


def run(shared: Path) -> dict[str, dict[str, float]]:
    """Model -> ``f1_weighted`` and ``roc_auc`` on the rows marked ``test``, the earlier project's among them."""
    table = pd.read_parquet(shared / TABLE)
    train, test = (table[table["split"] == part].drop(columns="split") for part in ("train", "test"))
    grave, truth = (part.pop("grav").to_numpy(dtype=np.float64) for part in (train, test))

    plain = HistGradientBoostingClassifier(random_state=7).fit(train, grave)
    folds = np.random.default_rng(7).integers(0, FOLDS, len(train))
    matrix = np.empty((len(train), 0))
    for fold in range(FOLDS):
        here = folds == fold
        found = _encoded(train[~here], grave[~here], train[here])
        matrix = np.empty((len(train), found.shape[1])) if matrix.size == 0 else matrix
        matrix[here] = found
    out_of_fold = np.empty(len(train))
    for fold in range(FOLDS):
        here = folds == fold
        out_of_fold[here] = _boosted(matrix[~here], grave[~here], matrix[here])
    ours = _boosted(matrix, grave, _encoded(train, grave, test))
    alone = _boosted(train.to_numpy(dtype=np.float64), grave, test.to_numpy(dtype=np.float64))
    return {
        "always the more frequent outcome": _measured(truth, np.full(len(truth), grave.mean()), 0.5),
        "earlier project, as reported": EARLIER,
        "plain gradient boosting": _measured(truth, plain.predict_proba(test)[:, 1], 0.5),
        "Vigie's booster on the table's columns": _measured(truth, alone, 0.5),
        "with Vigie's out-of-fold encodings": _measured(truth, ours, _best_threshold(grave, out_of_fold)),
    }


def as_markdown(found: Mapping[str, Mapping[str, float]]) -> list[str]:
    """The lines of a table of ``run``'s figures."""
    lines = [
        "## The prepared table of 2021",
        "",
        "The earlier project's own 28 columns (leaky user columns among them) and its own split: a comparison of",
        "means, not a model for calls. Thresholds come from out-of-fold predictions on the training rows; 0.5 else.",
        "",
        "| | weighted F1 | ROC AUC |",
        "|---|---:|---:|",
    ]
    lines += [f"| {name} | {item['f1_weighted']:.4f} | {item['roc_auc']:.4f} |" for name, item in found.items()]
    return [*lines, ""]


def _encoded(known: pd.DataFrame, grave: Floats, rows: pd.DataFrame) -> Floats:
    """The table's columns and what the ``known`` rows say about place and kind of accident."""
    learned, base = encodings.load_shares(_LEVELS, encodings.fit_shares(_LEVELS, _keys(known), grave))
    names = ("department", "commune", "road")
    shares, weights = encodings.lookup_shares(_LEVELS, names, _keys(rows), learned, base)
    points = [frame[name].to_numpy(dtype=np.float64) for frame in (known, rows) for name in ("lat", "long")]
    cells = surroundings.load_density(surroundings.fit_density(points[0], points[1], grave))
    around = surroundings.lookup_density(points[2].tolist(), points[3].tolist(), shares["department"], cells)
    extra = [*shares.values(), *weights.values(), *around.near.values(), *around.share.values()]
    return np.column_stack([rows.to_numpy(dtype=np.float64), np.array(extra).T])


def _keys(rows: pd.DataFrame) -> dict[str, list[str]]:
    def joined(*names: str) -> list[str]:
        return [" ".join(map(str, row)) for row in rows[list(names)].itertuples(index=False)]

    return {
        "department": joined("dep"),
        "commune": joined("com"),
        "road": joined("com", "catr", "vma"),
        "vehicle": joined("catv", "catu", "agg_"),
        "scene": joined("catv", "catu", "agg_", "col", "obsm", "secu1"),
    }


def _boosted(matrix: Floats, grave: Floats, rows: Floats) -> Floats:
    booster = xgboost.train(_TREES, xgboost.QuantileDMatrix(matrix, grave), _ROUNDS)
    return np.asarray(booster.inplace_predict(rows), dtype=np.float64)


def _best_threshold(truth: Floats, probability: Floats) -> float:
    grid = np.arange(0.30, 0.60, 0.005)
    return float(max(grid, key=lambda at: f1_score(truth, probability >= at, average="weighted")))


def _measured(truth: Floats, probability: Floats, threshold: float) -> dict[str, float]:
    return {
        "f1_weighted": float(f1_score(truth, probability >= threshold, average="weighted")),
        "roc_auc": float(roc_auc_score(truth, probability)),
    }


def main(arguments: list[str]) -> None:
    checkout = Path(__file__).resolve().parents[1]
    shared = Path(arguments[0]) if arguments else checkout.parent / "shared" / "data"
    print("\n".join(as_markdown(run(shared))))


if __name__ == "__main__":
    main(sys.argv[1:])
