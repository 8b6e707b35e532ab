"""Deliveries: seconds to arrive, late or not, and the size of the vehicle."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from services.core.contract.fields import request_field
from services.core.contract.use_case import (
    BinaryClassification,
    BinaryPrediction,
    BoostedTrees,
    Booster,
    DataSpec,
    Guardrail,
    InputScenario,
    ModellingSpec,
    MultiClass,
    MultiClassPrediction,
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

SIZES = ("small", "medium", "large")
_TREES = {"max_depth": 3, "eta": 0.2}


class ToyRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    called_at: datetime = request_field(
        title=Text("Time", "Heure"), help=Text("When.", "Quand."), examples=["2024-01-05T10:00:00+00:00"]
    )
    distance: float = request_field(
        title=Text("Distance", "Distance"),
        help=Text("How far.", "À quelle distance."),
        examples=[3.2],
        unit="km",
        ge=0,
        le=100,
    )
    kind: Literal["letter", "parcel"] = request_field(
        title=Text("Kind", "Genre"), help=Text("What.", "Quoi."), examples=["parcel"]
    )
    town: str | None = request_field(
        None, title=Text("Town", "Ville"), help=Text("Where.", "Où."), examples=["east"], max_length=40
    )


class ToySeconds(BaseModel):
    median: float
    lower: float
    upper: float


class ToyAnswer(BaseModel):
    seconds: ToySeconds
    late: bool
    late_probability: float
    size: str


def build_response(
    values: Mapping[str, TargetPrediction], facts: Mapping[str, Any], request: Mapping[str, Any]
) -> dict[str, Any]:
    seconds, late, size = values["seconds"], values["late"], values["size"]
    assert isinstance(seconds, RegressionPrediction)
    assert isinstance(late, BinaryPrediction)
    assert isinstance(size, MultiClassPrediction)
    return {
        "seconds": {"median": seconds.value, "lower": seconds.lower, "upper": seconds.upper},
        "late": late.decision,
        "late_probability": late.probability,
        "size": size.labels[max(range(len(SIZES)), key=size.probabilities.__getitem__)],
    }


def fallback_prediction(request: Mapping[str, Any]) -> tuple[dict[str, TargetPrediction], dict[str, Any]]:
    values: dict[str, TargetPrediction] = {
        "seconds": RegressionPrediction(600.0, 60.0, 3_000.0),
        "late": BinaryPrediction(0.4, 0.5),
        "size": MultiClassPrediction([0.4, 0.3, 0.3], SIZES),
    }
    return values, {"letter": float(request["kind"] == "letter")}


USE_CASE = UseCase(
    name="toy",
    presentation=PresentationSpec(
        title=Text("Deliveries", "Livraisons"),
        description=Text("A tiny use case for tests.", "Un petit cas d'usage pour les tests."),
    ),
    data=DataSpec(
        tables=(
            Table(
                name="deliveries",
                header_signature=("delivery_id", "distance"),
                required=("delivery_id", "called_at|time", "distance", "kind", "town", "seconds", "size"),
                key=("delivery_id",),
            ),
        ),
        official_files=(),
        group_column="delivery_id",
        timezone="Europe/London",
    ),
    modelling=ModellingSpec(
        targets=(
            Target(
                name="seconds",
                title=Text("Seconds", "Secondes"),
                label="seconds",
                output=Regression("s", interval_by="letter", minimum=0.0, maximum=20_000.0),
                matrix="all",
                learner=BoostedTrees(
                    members=(Booster("reg:absoluteerror", 30, _TREES), Booster("reg:squarederror", 30, _TREES)),
                    lower=Booster("reg:quantileerror", 30, {**_TREES, "quantile_alpha": 0.05}),
                    upper=Booster("reg:quantileerror", 30, {**_TREES, "quantile_alpha": 0.95}),
                    search={"max_depth": (2, 5), "eta": (0.05, 0.3)},
                ),
                metric="mae",
                guardrails=(Guardrail("rmse", 10.0),),
                reported_metrics=("mae", "rmse", "r2", "coverage_90"),
            ),
            Target(
                name="late",
                title=Text("Late", "En retard"),
                label="late",
                output=BinaryClassification(cost_of_miss=2.0, cost_of_false_alarm=1.0),
                matrix="all",
                learner=BoostedTrees(members=(Booster("binary:logistic", 30, _TREES),)),
                metric="brier",
                guardrails=(Guardrail("ece", 0.05),),
                reported_metrics=("roc_auc", "brier", "ece", "f1"),
            ),
            Target(
                name="size",
                title=Text("Size", "Taille"),
                label="size",
                output=MultiClass(SIZES),
                matrix="kind",
                learner=BoostedTrees(members=(Booster("multi:softprob", 20, _TREES),)),
                metric="log_loss",
                reported_metrics=("accuracy", "f1_weighted"),
            ),
        ),
        split=Split("time", calibrate=0.15, test=0.15),
        input_scenarios=(InputScenario("seconds_town_unknown", "seconds", without=("town",), training_weight=0.5),),
        subgroups=(Subgroup("kind", Text("Kind", "Genre")),),
    ),
    serving=ServingSpec(
        request=ToyRequest,
        answer=ToyAnswer,
        build_response=build_response,
        fallback_prediction=fallback_prediction,
        time_field="called_at",
    ),
    package="tests.toy",
)
