"""Wine quality: what score would tasters give this wine?"""

from __future__ import annotations

from collections.abc import Mapping

from services.core.usecases.contract import (
    BoostedTrees,
    Booster,
    Classes,
    Guard,
    OfficialFile,
    Part,
    Quantity,
    Split,
    Subgroup,
    Table,
    Target,
    Text,
    UseCase,
)
from services.core.usecases.wine_quality.answer import WineAnswer, baseline, compose
from services.core.usecases.wine_quality.measurements import COLOURS, GRADES, MEASUREMENTS
from services.core.usecases.wine_quality.request import WineRequest

_SCORE_TREES: Mapping[str, float | int | str] = {
    "max_depth": 7,
    "eta": 0.04,
    "min_child_weight": 3,
    "subsample": 0.7,
    "colsample_bynode": 0.4,
    "lambda": 1.0,
}
_GRADE_TREES: Mapping[str, float | int | str] = {
    "max_depth": 4,
    "eta": 0.15,
    "min_child_weight": 2,
    "subsample": 0.7,
    "colsample_bynode": 0.4,
    "lambda": 2.0,
}
_UCI = "https://archive.ics.uci.edu/ml/machine-learning-databases/wine-quality/winequality-"
_COLUMNS = tuple(what.column for what in MEASUREMENTS.values())

USE_CASE = UseCase(
    name="wine_quality",
    title=Text("Wine quality", "Qualité du vin"),
    description=Text(
        "From a wine's eleven measurements: the score that tasters would give it, how sure that is, and the "
        "probability of each grade. Learned from the UCI wine quality files (vinho verde).",
        "À partir des onze mesures d'un vin : la note que des dégustateurs lui donneraient, sa précision, et la "
        "probabilité de chaque note. Appris sur les fichiers UCI (vinho verde).",
    ),
    request=WineRequest,
    answer=WineAnswer,
    targets=(
        Target(
            name="quality",
            title=Text("Score", "Note"),
            label="quality",
            output=Quantity("points", interval_by="colour", minimum=0.0),
            matrix="wine",
            learner=BoostedTrees(
                members=(Booster("reg:squarederror", 250, _SCORE_TREES),),
                search={"max_depth": (4.0, 8.0), "eta": (0.02, 0.1), "min_child_weight": (1.0, 10.0)},
            ),
            metric="rmse",
            guards=(Guard("mae", 0.01),),
            reported=("rmse", "mae", "r2", "coverage_90"),
        ),
        Target(
            name="grade",
            title=Text("Grade", "Note entière"),
            label="grade",
            output=Classes(GRADES),
            matrix="wine",
            learner=BoostedTrees(members=(Booster("multi:softprob", 30, _GRADE_TREES),)),
            metric="log_loss",
            guards=(Guard("accuracy", 0.02),),
            reported=("accuracy", "f1_weighted", "log_loss"),
        ),
    ),
    tables=(
        Table(
            name="wines",
            marks=("volatile acidity", "residual sugar", "alcohol"),
            required=(*_COLUMNS, "quality"),
            key=("colour", *MEASUREMENTS),
            file_names=True,
        ),
    ),
    official=tuple(OfficialFile(f"{_UCI}{colour}.csv", f"UCI wine quality, {colour}") for colour in COLOURS),
    group="wine",
    split=Split("cross", folds=5, repeats=2),
    compose=compose,
    baseline=baseline,
    parts=tuple(Part(f"quality_{colour}", "quality", "colour", colour) for colour in COLOURS),
    subgroups=(
        Subgroup("colour", Text("Colour", "Couleur")),
        Subgroup("strength", Text("Strength", "Degré")),
    ),
)
