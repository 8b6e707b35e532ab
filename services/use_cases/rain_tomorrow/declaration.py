"""Declaration of ``rain_tomorrow``: whether it rains tomorrow at an Australian station."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.core.contract.use_case import (
    BinaryClassification,
    BoostedTrees,
    Booster,
    DataSpec,
    Guardrail,
    InputScenario,
    MapSpec,
    ModellingSpec,
    Plausible,
    PresentationSpec,
    ServingSpec,
    Split,
    Subgroup,
    Table,
    Target,
    Text,
    UseCase,
)
from services.use_cases.rain_tomorrow import layouts
from services.use_cases.rain_tomorrow.answer import (
    COST_OF_FALSE_ALARM,
    COST_OF_MISS,
    RainAnswer,
    build_response,
    fallback_prediction,
)
from services.use_cases.rain_tomorrow.request import RainRequest
from services.use_cases.rain_tomorrow.stations import MAP_OUTLINE, MAP_POINTS

_TREES: Mapping[str, float | int | str] = {
    "max_depth": 7,
    "eta": 0.03,
    "min_child_weight": 30,
    "subsample": 0.8,
    "colsample_bytree": 0.25,
    "lambda": 3.0,
}
_SEARCH = {"max_depth": (4.0, 8.0), "eta": (0.02, 0.1), "min_child_weight": (5.0, 60.0), "lambda": (0.5, 10.0)}


def one_row(columns: dict[str, Any], _context: Mapping[str, Any]) -> tuple[dict[str, Any], Mapping[str, Any]]:
    """A caller's row where the platform knows no past day and no other station."""
    return columns, {}


USE_CASE = UseCase(
    name="rain_tomorrow",
    presentation=PresentationSpec(
        title=Text("Rain tomorrow", "Pluie demain"),
        description=Text(
            "From today's observations at an Australian station: the probability that it rains tomorrow, whether to "
            "announce it, and how often such an announcement comes true. Learned from the Bureau of Meteorology's "
            "daily observations.",
            "À partir des relevés du jour d'une station australienne : la probabilité qu'il pleuve demain, s'il faut "
            "l'annoncer, et combien de fois une telle annonce se vérifie. Appris sur les relevés quotidiens du Bureau "
            "of Meteorology.",
        ),
        map=MapSpec(
            "longitude",
            "latitude",
            MAP_OUTLINE,
            points=MAP_POINTS,
            name_field="station",
            degrees=True,
            area_field="station",
        ),
    ),
    data=DataSpec(
        tables=(
            Table(
                name="observations",
                header_signature=("Date", "Location", "Rainfall", "Humidity3pm"),
                required=("Date", "Location", "Rainfall"),
                key=("station", "date"),
                columns=layouts.LONG,
                optional=True,
                plausible=(
                    Plausible("rained", shares={1.0: (0.02, 0.75)}, meaning={1.0: "rain tomorrow"}),
                    Plausible("max_temperature", median=(0.0, 45.0)),
                    Plausible("pressure_3pm", median=(980.0, 1_040.0)),
                ),
            ),
            Table(
                name="monthly",
                header_signature=("Date", "Rainfall (mm)", "9am wind direction"),
                required=("Date", "Rainfall (mm)"),
                key=("station", "date"),
                columns=layouts.MONTHLY,
                optional=True,
                max_preamble_lines=20,
                plausible=(Plausible("pressure_3pm", median=(980.0, 1_040.0)),),
            ),
        ),
        official_files=(),
        group_column="day",
    ),
    modelling=ModellingSpec(
        targets=(
            Target(
                name="rain",
                title=Text("Rain tomorrow", "Pluie demain"),
                label="rain",
                output=BinaryClassification(cost_of_miss=COST_OF_MISS, cost_of_false_alarm=COST_OF_FALSE_ALARM),
                matrix="day",
                learner=BoostedTrees(members=(Booster("binary:logistic", 700, _TREES),), search=_SEARCH),
                metric="brier",
                guardrails=(Guardrail("roc_auc", 0.005), Guardrail("ece", 0.01), Guardrail("f1", 0.01)),
                reported_metrics=("roc_auc", "pr_auc", "f1", "brier", "ece", "recall", "precision"),
            ),
        ),
        split=Split("time", calibrate=0.10, test=0.04),
        input_scenarios=(InputScenario("rain_one_row", "rain", one_row, training_weight=1.0),),
        subgroups=(
            Subgroup("region", Text("Region", "Région")),
            Subgroup("season", Text("Season", "Saison")),
        ),
    ),
    serving=ServingSpec(
        request=RainRequest,
        answer=RainAnswer,
        build_response=build_response,
        fallback_prediction=fallback_prediction,
        time_field="date",
    ),
)
