"""The declaration of a use case, from which ingestion, training, gate, serving, drift and forms follow.

Only pydantic and the standard library are imported here, because Airflow and the dashboard load declarations too. A use
case is one package with the modules ``declaration``, ``features``, ``raw``, ``simulator`` and, optionally, ``context``
(see ``modules``). All but the first are imported on first use.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from pydantic import BaseModel

from services.core.contract.fields import Text
from services.core.contract.learners import (
    BoostedTrees,
    Booster,
    EvaluationSlice,
    Guardrail,
    InputScenario,
    LabelRule,
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
from services.core.contract.specs import DataSpec, MapSpec, ModellingSpec, PresentationSpec, ServingSpec
from services.core.contract.tables import (
    Column,
    Finding,
    ForeignFileError,
    Join,
    OfficialFile,
    ParsedTable,
    Plausible,
    Table,
)
from services.deprecated_names import accepts_flat_fields

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
    "Column",
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
    "LabelRule",
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
    "PresentationSpec",
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


def with_class_labels(use_case: UseCase, labels: Mapping[str, tuple[str, ...]]) -> UseCase:
    """Put class labels that were learned into a use case.

    Args:
        use_case: The declaration.
        labels: Target name -> its classes, for targets whose classes are learned.

    Returns:
        A copy whose targets have these classes; ``use_case`` itself where ``labels`` is empty.
    """
    if not labels:
        return use_case
    targets = tuple(
        replace(target, output=MultiClass(labels[target.name])) if target.name in labels else target
        for target in use_case.modelling.targets
    )
    return replace(use_case, modelling=replace(use_case.modelling, targets=targets))


def learned_class_targets(use_case: UseCase) -> tuple[str, ...]:
    """Name the targets whose classes are learned from data."""
    return tuple(t.name for t in use_case.modelling.targets if isinstance(t.output, MultiClass) and t.output.learned)
