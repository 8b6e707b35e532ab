"""The four groups of a use case's declaration: data, modelling, serving and presentation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from services.core.contract.fields import Text
from services.core.contract.learners import EvaluationSlice, InputScenario, Split, Subgroup, Target
from services.core.contract.outputs import TargetPrediction
from services.core.contract.tables import OfficialFile, Table
from services.deprecated_names import accepts_old_fields


@accepts_old_fields(named="name_field", area="area_field")
@dataclass(frozen=True, slots=True)
class MapSpec:
    """Where calls lie, for maps: the request's fields of a position, and lines to draw in their unit.

    Nothing is fetched to draw a map, so the lines are few and rough.

    Attributes:
        x: Request field of the x coordinate (easting or longitude).
        y: Request field of the y coordinate (northing or latitude).
        lines: Each (x, y), ...; the first ones that end where they begin are the area.
        points: Named places that are known beforehand, (x, y); a model may know more (``FeatureSet.map_points``).
        name_field: The field that holds the name of such a place; then x and y may be no fields of the request.
        degrees: Whether x and y are longitude and latitude.
        area_field: The field by which tables for people are laid out.
    """

    x: str
    y: str
    lines: tuple[tuple[tuple[float, float], ...], ...]
    points: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    name_field: str | None = None
    degrees: bool = False
    area_field: str | None = None


@dataclass(frozen=True, slots=True)
class DataSpec:
    """Where examples come from: the raw tables, and how their rows belong together.

    Attributes:
        tables: The raw tables.
        group_column: Column of the examples that says which rows belong together; no split cuts through a group.
        official_files: What the publishers offer for download.
        timezone: IANA name of the zone of times without one; without it they are UTC.
        incident_is_group: Whether centres call an incident as ``group_column`` does: then its official record takes an
            outcome's place.
    """

    tables: tuple[Table, ...]
    group_column: str
    official_files: tuple[OfficialFile, ...] = ()
    timezone: str | None = None
    incident_is_group: bool = False


@dataclass(frozen=True, slots=True)
class ModellingSpec:
    """What is learned, on which rows, and how it is evaluated.

    Attributes:
        targets: What is predicted.
        split: How examples are cut into training, calibration and test rows.
        input_scenarios: The same rows as callers with less knowledge send them.
        evaluation_slices: Rows that are scored on their own as well.
        subgroups: Columns for each of whose values metrics are reported and guarded.
        cross_fitted: Whether training rows are encoded out of fold. Not needed where ``fit`` looks at no label.
    """

    targets: tuple[Target, ...]
    split: Split
    input_scenarios: tuple[InputScenario, ...] = ()
    evaluation_slices: tuple[EvaluationSlice, ...] = ()
    subgroups: tuple[Subgroup, ...] = ()
    cross_fitted: bool = True


@dataclass(frozen=True, slots=True)
class ServingSpec:
    """Request, answer and the rules between them, and what is stored of a call.

    Attributes:
        request: Model of a request.
        answer: Model of an answer.
        build_response: (values of one row by target, facts of one row, the request's fields) -> the answer's fields:
            the business rules. Runs on the request path.
        fallback_prediction: A request's fields -> values and facts without any model: what is answered when there is
            no bundle at all and what the first model has to beat. Must never fail on a valid request.
        adjust: (values of one row by target, facts of one row) -> the values that ``build_response`` puts into the
            answer, where its rules change a model's own: a cap, or two models brought into line. ``predictions``
            follows.
        time_field: The request's field that says when it happened: a moment, or a day. Without one it is when the call
            came.
        contradictions: A valid request's fields -> what in them contradicts itself, such as a place that is given twice
            and differently: (field, sentence in English). Answers warn of it. Runs on the request path.
        pii_fields: Fields that say where or whom, stored as pseudonyms on request: text -> None, a number -> its
            rounding step.
        drift_features: Columns for drift that ``FeatureSet.drift_features`` derives from requests, where the fields
            themselves are nothing to compare: text and pictures.
    """

    request: type[BaseModel]
    answer: type[BaseModel]
    build_response: Callable[[Mapping[str, TargetPrediction], Mapping[str, Any], Mapping[str, Any]], dict[str, Any]]
    fallback_prediction: Callable[[Mapping[str, Any]], tuple[dict[str, TargetPrediction], dict[str, Any]]]
    adjust: Callable[[Mapping[str, TargetPrediction], Mapping[str, Any]], Mapping[str, TargetPrediction]] | None = None
    time_field: str | None = None
    contradictions: Callable[[Mapping[str, Any]], Sequence[tuple[str, str]]] | None = None
    pii_fields: Mapping[str, float | None] = field(default_factory=dict)
    drift_features: Mapping[str, Text] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PresentationSpec:
    """How people see the use case: its words and its map.

    Attributes:
        title: What people call it.
        description: What it answers and from which data.
        map: Where calls lie.
    """

    title: Text
    description: Text
    map: MapSpec | None = None
