"""Declaration of ``road_accidents``: severity of an accident that has just been reported in France."""

from __future__ import annotations

from collections.abc import Mapping

from services.core.contract.use_case import (
    BinaryClassification,
    BoostedTrees,
    Booster,
    DataSpec,
    Guardrail,
    InputScenario,
    Join,
    LabelRule,
    MapSpec,
    ModellingSpec,
    MultiClass,
    OfficialFile,
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
from services.use_cases.road_accidents import layouts
from services.use_cases.road_accidents.answer import (
    COST_OF_FALSE_ALARM,
    COST_OF_MISS,
    SEVERITIES,
    RoadAccidentAnswer,
    adjust,
    build_response,
    fallback_prediction,
)
from services.use_cases.road_accidents.geography import FRANCE, MAP_OUTLINE
from services.use_cases.road_accidents.request import (
    OPTIONAL_NUMBERS,
    OPTIONAL_TEXTS,
    OPTIONAL_WORDS,
    RoadAccidentRequest,
    contradictions,
)

_TREES: Mapping[str, float | int | str] = {
    "max_depth": 4,
    "eta": 0.05,
    "min_child_weight": 10,
    "subsample": 0.8,
    "colsample_bytree": 0.4,
    "lambda": 3.0,
}
_SEARCH = {"max_depth": (3.0, 8.0), "eta": (0.02, 0.1), "min_child_weight": (2.0, 40.0), "lambda": (0.5, 10.0)}
_OPTIONAL = (*OPTIONAL_WORDS, *OPTIONAL_TEXTS, *OPTIONAL_NUMBERS)
_CODES = "https://www.data.gouv.fr/fr/datasets/r/"
_OFFICIAL = {
    "caracteristiques 2024": "83f0fb0e-e0ef-47fe-93dd-9aaee851674a",
    "lieux 2024": "228b3cda-fdfb-4677-bd54-ab2107028d2d",
    "vehicules 2024": "fd30513c-6b11-4a56-b6dc-5ac87728794b",
    "usagers 2024": "f57b1f58-386d-4048-8f78-2ebe435df868",
    "caracteristiques 2023": "104dbb32-704f-4e99-a71e-43563cb604f2",
    "lieux 2023": "8bef19bf-a5e4-46b3-b5f9-a145da4686bc",
    "vehicules 2023": "146a42f5-19f0-4b3e-a887-5cd8fbef057b",
    "usagers 2023": "68848e2a-28dd-4efc-9d5f-d512f7dbe66f",
}
_SAME_ACCIDENTS = (Join("caracteristiques", "accident", lost_if_absent=True, period=4),)
_OUTCOMES = Plausible(
    "severity",
    shares={1.0: (0.05, 0.80), 2.0: (0.0, 0.10), 3.0: (0.02, 0.60), 4.0: (0.05, 0.85)},
    meaning={1.0: "unharmed", 2.0: "killed", 3.0: "taken to hospital", 4.0: "slightly hurt"},
)
"""Of all people in reported accidents 2 to 4 % were killed in every year since 2005."""

USE_CASE = UseCase(
    name="road_accidents",
    presentation=PresentationSpec(
        title=Text("Road accidents", "Accidents de la route"),
        description=Text(
            "For a reported road accident: the probability that someone is killed or taken to hospital, and the "
            "worst outcome to expect. Learned from the French national accident tables (BAAC).",
            "Pour un accident signalé : la probabilité qu'une personne soit tuée ou hospitalisée, et l'issue la plus "
            "grave à attendre. Appris sur les fichiers nationaux des accidents corporels (BAAC).",
        ),
        map=MapSpec("longitude", "latitude", MAP_OUTLINE, degrees=True, area_field="department"),
    ),
    data=DataSpec(
        tables=(
            Table(
                name="caracteristiques",
                header_signature=("lum", "atm", "col"),
                required=("Num_Acc|Accident_Id", "an", "mois", "jour", "hrmn", "lum", "agg", "col"),
                key=("accident",),
                columns=layouts.caracteristiques(old=False),
                plausible=(Plausible("collision"), Plausible("light"), Plausible("urban", shares={1.0: (0.1, 0.98)})),
            ),
            Table(
                name="lieux",
                header_signature=("catr", "surf"),
                required=("Num_Acc|Accident_Id", "catr"),
                key=("accident",),
                columns=layouts.LIEUX,
                allow_duplicate_keys=True,
                joins=_SAME_ACCIDENTS,
            ),
            Table(
                name="vehicules",
                header_signature=("catv", "obsm"),
                required=("Num_Acc|Accident_Id", "catv"),
                key=("accident",),
                columns=layouts.VEHICULES,
                allow_duplicate_keys=True,
                joins=_SAME_ACCIDENTS,
            ),
            Table(
                name="usagers",
                header_signature=("catu", "grav"),
                required=("Num_Acc|Accident_Id", "catu", "grav"),
                key=("accident",),
                columns=layouts.USAGERS,
                allow_duplicate_keys=True,
                joins=_SAME_ACCIDENTS,
                plausible=(_OUTCOMES,),
            ),
        ),
        official_files=tuple(OfficialFile(_CODES + code, f"BAAC {title}") for title, code in _OFFICIAL.items()),
        group_column="accident",
        timezone=FRANCE.zone,
    ),
    modelling=ModellingSpec(
        targets=(
            Target(
                name="priority",
                title=Text("Someone killed or taken to hospital", "Une personne tuée ou hospitalisée"),
                label="priority",
                output=BinaryClassification(cost_of_miss=COST_OF_MISS, cost_of_false_alarm=COST_OF_FALSE_ALARM),
                matrix="accident",
                learner=BoostedTrees(members=(Booster("binary:logistic", 400, _TREES),) * 2, search=_SEARCH),
                metric="brier",
                guardrails=(Guardrail("roc_auc", 0.01), Guardrail("ece", 0.02), Guardrail("f1", 0.02)),
                reported_metrics=("roc_auc", "pr_auc", "f1", "f1_weighted", "brier", "ece", "recall", "precision"),
                follows=LabelRule(
                    "severity",
                    lambda worst, grave: grave == (worst != SEVERITIES[0]),
                    f"true unless severity is {SEVERITIES[0]}",
                ),
            ),
            Target(
                name="severity",
                title=Text("Worst outcome", "Issue la plus grave"),
                label="severity",
                output=MultiClass(SEVERITIES),
                matrix="accident",
                learner=BoostedTrees(members=(Booster("multi:softprob", 200, _TREES),), search=_SEARCH),
                metric="log_loss",
                guardrails=(Guardrail("f1_weighted", 0.02),),
                reported_metrics=("f1_macro", "f1_weighted"),
            ),
        ),
        split=Split("time", calibrate=0.08, test=0.04),
        input_scenarios=(
            InputScenario("priority_without_details", "priority", without=_OPTIONAL, training_weight=0.3),
        ),
        subgroups=(
            Subgroup("area", Text("Area", "Région")),
            Subgroup("hour_band", Text("Hour", "Heure")),
            Subgroup("vehicle_kind", Text("Who takes part", "Usagers impliqués")),
            Subgroup("setting", Text("In towns or outside", "En agglomération ou hors agglomération")),
        ),
    ),
    serving=ServingSpec(
        request=RoadAccidentRequest,
        answer=RoadAccidentAnswer,
        build_response=build_response,
        fallback_prediction=fallback_prediction,
        adjust=adjust,
        pii_fields={"latitude": 0.05, "longitude": 0.05, "commune": None, "road": None},
        time_field="occurred_at",
        contradictions=contradictions,
    ),
)
