"""The declaration of ``fire_response``: see ``docs/use-cases/fire_response.md``."""

from __future__ import annotations

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
    Regression,
    ServingSpec,
    Split,
    Subgroup,
    Table,
    Target,
    Text,
    UseCase,
)
from services.use_cases.fire_response import layouts
from services.use_cases.fire_response.answer import PUMPS, FireAnswer, build_response, fallback_prediction
from services.use_cases.fire_response.brigade import LONDON, MAP_OUTLINE
from services.use_cases.fire_response.request import FireCall, contradictions

_TREES = {"max_depth": 6, "eta": 0.06, "subsample": 0.8, "colsample_bytree": 0.6, "min_child_weight": 20}
# The curvature of the Huber loss fades for rows far from the prediction, so it starts near the middle
# of the times, and a leaf needs less of it.
_HUBER = {**_TREES, "max_depth": 5, "min_child_weight": 5, "huber_slope": 150.0, "base_score": 330.0}
_LOGISTIC = {**_TREES, "eta": 0.04, "colsample_bytree": 0.3, "min_child_weight": 30}
_QUANTILES = {"max_depth": 5, "eta": 0.06, "subsample": 0.8, "colsample_bytree": 0.6, "min_child_weight": 20}
_DOWNLOAD = "https://data.london.gov.uk/download"
_STATION_UNKNOWN = ("deployed_from_station",)
"""A centre need not send which station the pump comes from."""

ATTENDANCE = Target(
    name="attendance_seconds",
    title=Text("Seconds to arrival", "Secondes jusqu'à l'arrivée"),
    label="attendance_seconds",
    # The two losses pull towards the median and the mean, and their average serves both the absolute and
    # the squared error; moved to the median it would lose the second.
    output=Regression(
        "s",
        coverage=0.90,
        interval_by="interval_group",
        minimum=0.0,
        maximum=1_200.0,  # where the official files end
        centred=False,
        objective=LONDON.objective_seconds,
    ),
    matrix="pump",
    learner=BoostedTrees(
        members=(
            Booster("reg:absoluteerror", 200, _TREES),
            Booster("reg:pseudohubererror", 300, _HUBER),
        ),
        lower=Booster("reg:quantileerror", 150, {**_QUANTILES, "quantile_alpha": 0.05}),
        upper=Booster("reg:quantileerror", 150, {**_QUANTILES, "quantile_alpha": 0.95}),
        search={"max_depth": (4, 8), "eta": (0.03, 0.12), "min_child_weight": (5, 60), "subsample": (0.6, 1.0)},
    ),
    metric="mae",
    guardrails=(Guardrail("rmse", 2.0),),
    reported_metrics=("mae", "rmse", "r2", "coverage_90"),
)

OVER_OBJECTIVE = Target(
    name="over_360s",
    title=Text("Misses the 360-second objective", "Dépasse l'objectif de 360 secondes"),
    label="over_360s",
    output=BinaryClassification(cost_of_miss=2.0, cost_of_false_alarm=1.0),
    matrix="pump",
    learner=BoostedTrees(
        members=(Booster("binary:logistic", 300, _LOGISTIC),),
        search={"max_depth": (4, 8), "eta": (0.03, 0.12), "min_child_weight": (5, 60), "subsample": (0.6, 1.0)},
    ),
    metric="brier",
    guardrails=(Guardrail("roc_auc", 0.005), Guardrail("ece", 0.015)),
    reported_metrics=("roc_auc", "brier", "ece", "f1"),
    follows=LabelRule(
        "attendance_seconds",
        lambda seconds, missed: missed == (seconds > LONDON.objective_seconds),
        f"true where attendance_seconds is above {LONDON.objective_seconds:g}",
    ),
)

PUMP_COUNT = Target(
    name="pumps",
    title=Text("Pumps needed", "Engins nécessaires"),
    label="pumps",
    output=MultiClass(PUMPS),
    matrix="incident",
    learner=BoostedTrees(
        members=(Booster("multi:softprob", 100, {**_TREES, "max_depth": 5, "eta": 0.08, "min_child_weight": 5}),),
        search={"max_depth": (3, 7), "eta": (0.03, 0.15), "min_child_weight": (1, 60), "subsample": (0.6, 1.0)},
    ),
    metric="log_loss",
    guardrails=(Guardrail("f1_weighted", 0.01), Guardrail("accuracy", 0.01)),
    reported_metrics=("accuracy", "f1_weighted"),
)

INCIDENTS = Table(
    name="incidents",
    header_signature=("IncidentNumber", "IncidentGroup", "FirstPumpArriving_AttendanceTime"),
    required=(
        "DateOfCall",
        "TimeOfCall",
        "PropertyCategory",
        "PropertyType",
        "Easting_rounded",
        "Northing_rounded",
        "IncidentStationGround",
        "FirstPumpArriving_DeployedFromStation",
        "SecondPumpArriving_AttendanceTime",
        "SecondPumpArriving_DeployedFromStation",
        "NumPumpsAttending",
    ),
    key=("incident_id",),
    columns=layouts.INCIDENTS,
    plausible=(
        Plausible(
            "incident_group",
            shares={"False Alarm": (0.15, 0.75), "Fire": (0.03, 0.60), "Special Service": (0.05, 0.80)},
        ),
        Plausible("seconds_1", median=(120.0, 1_200.0)),
        Plausible("pumps", median=(1.0, 4.0)),
    ),
)

MOBILISATIONS = Table(
    name="mobilisations",
    header_signature=("ResourceMobilisationId", "PumpOrder"),
    required=("IncidentNumber", "DateAndTimeMobilised", "AttendanceTimeSeconds", "DeployedFromStation_Name"),
    key=("mobilisation_id",),
    columns=layouts.MOBILISATIONS,
    optional=True,
    joins=(Join("incidents", "incident_id", within=("mobilised", "call_time")),),
    plausible=(Plausible("attendance_seconds", median=(120.0, 1_200.0)),),
)

STATIONS = Table(
    name="stations",
    header_signature=("code", "name", "latitude", "longitude"),
    required=(),
    key=("code",),
    columns=layouts.STATIONS,
    optional=True,
)

WEATHER = Table(
    name="weather",
    header_signature=("time", "temp", "prcp", "wspd"),
    required=(),
    key=("time",),
    optional=True,
)

USE_CASE = UseCase(
    name="fire_response",
    presentation=PresentationSpec(
        title=Text("London Fire Brigade: response", "Pompiers de Londres : intervention"),
        description=Text(
            "How long a pump takes to arrive, whether it misses the 360-second objective, and how many pumps the "
            "incident will need.",
            "Le délai d'arrivée d'un engin, le risque de dépasser l'objectif de 360 secondes et le nombre d'engins "
            "nécessaires.",
        ),
        map=MapSpec(
            "easting", "northing", MAP_OUTLINE, name_field="deployed_from_station", area_field="station_ground"
        ),
    ),
    data=DataSpec(
        tables=(INCIDENTS, MOBILISATIONS, STATIONS, WEATHER),
        official_files=(
            OfficialFile(
                f"{_DOWNLOAD}/london-fire-brigade-incident-records/f5066d66-c7a3-415f-9629-026fbda61822/"
                "LFB%20Incident%20data%20from%202018%20onwards.csv.xlsx",
                "London Fire Brigade incident records, 2018 onwards",
            ),
            OfficialFile(
                f"{_DOWNLOAD}/london-fire-brigade-mobilisation-records/3ff29fb5-3935-41b2-89f1-38571059237e/"
                "LFB%20Mobilisation%20data%20from%202021%20-%202024.csv",
                "London Fire Brigade mobilisation records, 2021 to 2024",
            ),
        ),
        group_column="incident_id",
        incident_is_group=True,
        timezone="Europe/London",
    ),
    modelling=ModellingSpec(
        targets=(ATTENDANCE, OVER_OBJECTIVE, PUMP_COUNT),
        split=Split("time", calibrate=0.06, test=0.06, within="period"),
        input_scenarios=(
            InputScenario(
                "attendance_seconds_station_unknown",
                "attendance_seconds",
                without=_STATION_UNKNOWN,
                training_weight=0.5,
            ),
            InputScenario("over_360s_station_unknown", "over_360s", without=_STATION_UNKNOWN, training_weight=0.5),
            InputScenario("pumps_group_unknown", "pumps", without=("incident_group",), training_weight=0.3),
        ),
        subgroups=(
            Subgroup("area", Text("Part of the city", "Partie de la ville")),
            Subgroup("borough", Text("Borough", "Arrondissement")),
            Subgroup("hour_band", Text("Hour of day", "Heure de la journée")),
            Subgroup("incident_group", Text("Kind of incident", "Type d'incident")),
            Subgroup("pump_order", Text("Pump order", "Rang de l'engin")),
        ),
    ),
    serving=ServingSpec(
        request=FireCall,
        answer=FireAnswer,
        build_response=build_response,
        fallback_prediction=fallback_prediction,
        pii_fields={
            "easting": 1_000.0,
            "northing": 1_000.0,
            "latitude": 0.01,
            "longitude": 0.01,
            "property_type": None,
        },
        time_field="call_time",
        contradictions=contradictions,
    ),
)
