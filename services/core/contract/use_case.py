"""The declaration of a use case, from which ingestion, training, gate, serving, drift and forms follow.

Only pydantic and the standard library are imported here, because Airflow and the dashboard load declarations too. A use
case is one package with the modules ``declaration``, ``features``, ``raw``, ``simulator`` and, optionally, ``context``
(see ``modules``). All but the first are imported on first use.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from pydantic import BaseModel

from services.core.contract.fields import Text
from services.core.contract.learners import (
    BoostedTrees,
    Booster,
    EvaluationSlice,
    Guardrail,
    InputScenario,
    LateFusion,
    Learner,
    ModalityModel,
    OnnxEstimator,
    Split,
    Subgroup,
    Target,
)
from services.core.contract.modules import (
    Arrays,
    Columns,
    ContextModule,
    ContextSource,
    Features,
    FeatureSet,
    RawData,
    Simulator,
    load_hooks,
)
from services.core.contract.outputs import (
    BinaryClassification,
    BinaryPrediction,
    MultiClass,
    MultiClassPrediction,
    Output,
    Regression,
    RegressionPrediction,
    TargetPrediction,
)
from services.core.contract.tables import (
    Finding,
    ForeignFileError,
    Join,
    OfficialFile,
    ParsedTable,
    Plausible,
    Table,
)
from services.deprecated_names import accepts_flat_fields, accepts_old_fields

if TYPE_CHECKING:
    from services.core.settings import Settings


BUILT_IN = "services.use_cases"
"""The package of the platform's own use cases: found by name, never imported by the core."""

__all__ = [
    "BUILT_IN",
    "Arrays",
    "BinaryClassification",
    "BinaryPrediction",
    "BoostedTrees",
    "Booster",
    "Columns",
    "ContextSource",
    "DataSpec",
    "EvaluationSlice",
    "FeatureSet",
    "Features",
    "Finding",
    "ForeignFileError",
    "Guardrail",
    "InputScenario",
    "Join",
    "LateFusion",
    "Learner",
    "MapSpec",
    "ModalityModel",
    "ModellingSpec",
    "MultiClass",
    "MultiClassPrediction",
    "OfficialFile",
    "OnnxEstimator",
    "Output",
    "ParsedTable",
    "Plausible",
    "RawData",
    "Regression",
    "RegressionPrediction",
    "ServingSpec",
    "Simulator",
    "Split",
    "Subgroup",
    "Table",
    "Target",
    "TargetPrediction",
    "Text",
    "UseCase",
    "example_request",
]


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


@accepts_flat_fields(
    data=(DataSpec, {"official": "official_files", "group": "group_column", "zone": "timezone"}),
    modelling=(ModellingSpec, {"variants": "input_scenarios", "parts": "evaluation_slices"}),
    serving=(
        ServingSpec,
        {
            "compose": "build_response",
            "baseline": "fallback_prediction",
            "personal": "pii_fields",
            "watched": "drift_features",
        },
    ),
    presentation=(PresentationSpec, {"place": "map"}),
)
@dataclass(frozen=True, slots=True)
class UseCase:
    """One declaration, from which ingestion, training, the gate, serving, drift, forms and DAGs follow.

    Attributes:
        name: Its name in addresses, folders and the registry.
        presentation: How people see it.
        data: Where its examples come from.
        modelling: What is learned and how it is evaluated.
        serving: Request, answer and the rules between them.
        package: Import path of its package; blank for a built-in one.
    """

    name: str
    presentation: PresentationSpec
    data: DataSpec
    modelling: ModellingSpec
    serving: ServingSpec
    package: str = ""
    _modules: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)
    """What the package's modules implement, as far as they were imported. Per object and not per path, because another
    package of the same name may take this one's place."""

    def target(self, name: str) -> Target:
        """Return one of the targets.

        Raises:
            KeyError: there is no target of that name.
        """
        for target in self.modelling.targets:
            if target.name == name:
                return target
        raise KeyError(f"{self.name} has no target {name!r}; it has {[t.name for t in self.modelling.targets]}")

    @property
    def features(self) -> FeatureSet:
        """Its ``features`` module."""
        return cast("FeatureSet", self._hooks("features", FeatureSet))

    @property
    def raw(self) -> RawData:
        """Its ``raw`` module."""
        return cast("RawData", self._hooks("raw", RawData))

    @property
    def simulator(self) -> Simulator:
        """Its ``simulator`` module."""
        return cast("Simulator", self._hooks("simulator", Simulator))

    def context_source(self, settings: Settings) -> ContextSource | None:
        """Make a new source of what comes from outside at call time, if there is one.

        Args:
            settings: Where the platform keeps its state, and which providers it asks.
        """
        if importlib.util.find_spec(self._path("context")) is None:
            return None
        return cast("ContextModule", importlib.import_module(self._path("context"))).source(settings)

    def _hooks(self, name: str, base: Any) -> Any:
        """Imported on first use; later uses, of which each prediction is one, look it up."""
        hooks = self._modules.get(name)
        if hooks is None:
            hooks = self._modules[name] = load_hooks(base, importlib.import_module(self._path(name)), name)
        return hooks

    def _path(self, name: str) -> str:
        return f"{self.package or f'{BUILT_IN}.{self.name}'}.{name}"


def example_request(model: type[BaseModel]) -> dict[str, Any]:
    """Return the first example of each request field: a request as a caller would send it."""
    return {name: info.examples[0] for name, info in model.model_fields.items() if info.examples}
