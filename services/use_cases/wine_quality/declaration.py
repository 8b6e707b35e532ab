"""Wine quality: declaration, response model and business rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, Field

from services.core.contract.use_case import (
    BoostedTrees,
    Booster,
    DataSpec,
    EvaluationSlice,
    Guardrail,
    LabelRule,
    ModellingSpec,
    MultiClass,
    MultiClassPrediction,
    OfficialFile,
    Plausible,
    PresentationSpec,
    Regression,
    RegressionPrediction,
    ServingSpec,
    Split,
    Subgroup,
    Table,
    Target,
    TargetPrediction,
    Text,
    UseCase,
)
from services.use_cases.wine_quality import layouts
from services.use_cases.wine_quality.request import COLOURS, GRADES, MEASUREMENTS, WineRequest

Grade = Literal["3", "4", "5", "6", "7", "8", "9"]
HIGHEST = 10.0


class WineAnswer(BaseModel):
    score: float = Field(description="Expected score, 0 to 10: the middle of at least three tasters' grades.")
    lower: float = Field(description="Lower end of the 90 % interval.")
    upper: float = Field(description="Upper end of the 90 % interval.")
    most_likely_grade: Grade = Field(description="The most probable single grade.")
    grades: dict[Grade, float] = Field(description="Probability of each grade; they sum to 1.")


def build_response(
    values: Mapping[str, TargetPrediction], facts: Mapping[str, Any], request: Mapping[str, Any]
) -> dict[str, Any]:
    """The answer's fields for one row. No score is above ``HIGHEST``."""
    quality, grade = values["quality"], values["grade"]
    assert isinstance(quality, RegressionPrediction)
    assert isinstance(grade, MultiClassPrediction)
    shares = grade.probabilities
    return {
        "score": min(quality.value, HIGHEST),
        "lower": min(quality.lower, HIGHEST),
        "upper": min(quality.upper, HIGHEST),
        "most_likely_grade": GRADES[max(range(len(GRADES)), key=shares.__getitem__)],
        "grades": dict(zip(GRADES, shares, strict=True)),
    }


def adjust(values: Mapping[str, TargetPrediction], facts: Mapping[str, Any]) -> dict[str, TargetPrediction]:
    """The score with the answer's cap."""
    quality = values["quality"]
    assert isinstance(quality, RegressionPrediction)
    capped = (min(number, HIGHEST) for number in (quality.value, quality.lower, quality.upper))
    return {**values, "quality": RegressionPrediction(*capped)}


_USUAL = {
    "red": (5.6, 0.8, (0.01, 0.03, 0.43, 0.40, 0.12, 0.01, 0.00)),
    "white": (5.9, 0.9, (0.005, 0.035, 0.295, 0.45, 0.175, 0.035, 0.005)),
}
"""Published mean score, spread and shares of grades by colour."""


def fallback_prediction(request: Mapping[str, Any]) -> tuple[dict[str, TargetPrediction], dict[str, Any]]:
    """The average quality of the colour: the answer without any model."""
    mean, spread, shares = _USUAL[request["colour"]]
    half = 1.645 * spread
    values: dict[str, TargetPrediction] = {
        "quality": RegressionPrediction(mean, mean - half, mean + half),
        "grade": MultiClassPrediction(list(shares), GRADES),
    }
    return values, {"colour": request["colour"]}


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
    presentation=PresentationSpec(
        title=Text("Wine quality", "Qualité du vin"),
        description=Text(
            "From a wine's eleven measurements: the score that tasters would give it, how sure that is, and the "
            "probability of each grade. Learned from the UCI wine quality files (vinho verde).",
            "À partir des onze mesures d'un vin : la note que des dégustateurs lui donneraient, sa précision, et la "
            "probabilité de chaque note. Appris sur les fichiers UCI (vinho verde).",
        ),
    ),
    data=DataSpec(
        tables=(
            Table(
                name="wines",
                header_signature=("volatile acidity", "residual sugar", "alcohol"),
                required=(*_COLUMNS, "quality"),
                key=("colour", *MEASUREMENTS),
                columns=layouts.WINES,
                with_file_name=True,
                plausible=(Plausible("quality", median=(4.0, 8.0)), Plausible("alcohol", median=(8.0, 15.0))),
            ),
        ),
        official_files=tuple(OfficialFile(f"{_UCI}{colour}.csv", f"UCI wine quality, {colour}") for colour in COLOURS),
        group_column="wine",
    ),
    modelling=ModellingSpec(
        targets=(
            Target(
                name="quality",
                title=Text("Score", "Note"),
                label="quality",
                output=Regression("points", interval_by="colour", minimum=0.0, maximum=HIGHEST),
                matrix="wine",
                learner=BoostedTrees(
                    members=(Booster("reg:squarederror", 250, _SCORE_TREES),),
                    search={"max_depth": (4.0, 8.0), "eta": (0.02, 0.1), "min_child_weight": (1.0, 10.0)},
                ),
                metric="rmse",
                guardrails=(Guardrail("mae", 0.01),),
                reported_metrics=("rmse", "mae", "r2", "coverage_90"),
            ),
            Target(
                name="grade",
                title=Text("Grade", "Note entière"),
                label="grade",
                output=MultiClass(GRADES),
                matrix="wine",
                learner=BoostedTrees(members=(Booster("multi:softprob", 30, _GRADE_TREES),)),
                metric="log_loss",
                guardrails=(Guardrail("accuracy", 0.02),),
                reported_metrics=("accuracy", "f1_weighted", "log_loss"),
                follows=LabelRule("quality", lambda score, grade: abs(score - int(grade)) <= 0.5, "quality, rounded"),
            ),
        ),
        split=Split("cross", folds=5, repeats=2),
        evaluation_slices=tuple(
            EvaluationSlice(f"quality_{colour}", "quality", "colour", colour) for colour in COLOURS
        ),
        subgroups=(
            Subgroup("colour", Text("Colour", "Couleur")),
            Subgroup("strength", Text("Strength", "Degré")),
        ),
    ),
    serving=ServingSpec(
        request=WineRequest,
        answer=WineAnswer,
        build_response=build_response,
        fallback_prediction=fallback_prediction,
        adjust=adjust,
    ),
)
