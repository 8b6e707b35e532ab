"""Import paths, fields and hooks of release 0.1.0, accepted for one release with a ``DeprecationWarning``.

Uses the standard library only: every program of the platform imports it first."""

from __future__ import annotations

import dataclasses
import importlib
import sys
import warnings
from collections.abc import Callable, Mapping
from functools import wraps
from importlib.machinery import ModuleSpec
from operator import attrgetter
from types import ModuleType, SimpleNamespace
from typing import Any, TypeVar

C = TypeVar("C", bound=type)

_OUTPUTS = {
    "Quantity": "Regression",
    "Probability": "BinaryClassification",
    "Classes": "MultiClass",
    "QuantityValue": "RegressionPrediction",
    "ProbabilityValue": "BinaryPrediction",
    "ClassesValue": "MultiClassPrediction",
    "Value": "TargetPrediction",
}
_DECLARATION = {
    "Variant": "InputScenario",
    "Part": "EvaluationSlice",
    "Place": "MapSpec",
    "Guard": "Guardrail",
    "Expert": "ModalityModel",
    "Checked": "ParsedTable",
}
_COLUMNS = {
    "kinds": "column_types",
    "Kind": "ColumnType",
    "allowed": "allowed_values",
    "images": "image_fields",
    "free_texts": "free_text_fields",
    "take": "select_rows",
    "without": "mask_fields",
}
_IMAGES = {
    "PictureError": "ImageError",
    "Picture": "DecodedImage",
    "decoded": "decode_image",
    "from_base64": "decode_base64",
    "unpack": "decode_fields",
}
_VALIDATION = {"sound": "validate_use_case", "example": "example_request", "name_fault": "name_error"}
_REGISTRY = {"every": "list_use_cases", "GROUP": "ENTRY_POINT_GROUP", "VARIABLE": "EXTRA_USE_CASES_VARIABLE"}

MODULES: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "services.core.usecases": ("", {}),
    "services.core.usecases.classes": (
        "services.core.contract.use_case",
        {"with_labels": "with_class_labels", "learns_classes": "learned_class_targets"},
    ),
    "services.core.usecases.columns": ("services.core.contract.columns", _COLUMNS),
    "services.core.usecases.contract": ("services.core.contract.use_case", _OUTPUTS | _DECLARATION),
    "services.core.usecases.fields": (
        "services.core.contract.fields",
        {"described": "request_field", "answered": "response_field"},
    ),
    "services.core.usecases.learners": ("services.core.contract.learners", {"Expert": "ModalityModel"}),
    "services.core.usecases.local_time": ("services.core.contract.columns", {}),
    "services.core.usecases.modules": (
        "services.core.contract.modules",
        {
            "WatchingModule": "FeatureSet",
            "FeatureModule": "FeatureSet",
            "RawModule": "RawData",
            "SimulatorModule": "Simulator",
        },
    ),
    "services.core.usecases.outputs": ("services.core.contract.outputs", _OUTPUTS),
    "services.core.usecases.pictures": ("services.core.contract.image_decoding", _IMAGES),
    "services.core.usecases.published": (
        "services.core.published_context",
        {"PublishedContext": "PublishedContextSource", "Keep": "SelectArrays"},
    ),
    "services.core.usecases.registry": ("services.core.use_case_registry", _REGISTRY),
    "services.core.usecases.soundness": ("services.core.use_case_registry", _VALIDATION),
    "services.core.usecases.sources": ("services.core.contract.tables", {"Checked": "ParsedTable"}),
    "services.core.usecases.sparse": ("services.core.contract.sparse", {}),
    "services.core.usecases.zones": ("services.core.contract.fields", {}),
    "services.core.scoring.answers": (
        "services.core.scoring.scored_predictions",
        {"answers": "score_variants", "of_baseline": "predict_with_baseline"},
    ),
    "services.ingestion.tables": ("services.core.raw_files.reader", {}),
    "services.training.cross": ("services.training.evaluation.test_set", {"of_unseen": "predict_out_of_fold"}),
    "services.training.train": ("services.training.stage.train", {}),
}
"""Old module -> new module, and its renamed attributes: old -> new. A package has no new module."""

HOOKS: Mapping[str, Mapping[str, str]] = {
    "raw": {
        "parse_table": "canonical",
        "build_examples": "examples",
        "build_label_examples": "outcome_examples",
        "lookup_tables": "reference",
        "training_context": "context",
    },
    "features": {
        "FEATURE_NAMES": "MATRICES",
        "FEATURE_INPUTS": "INPUTS",
        "prepare": "load",
        "post_training_checks": "audit",
        "drift_features": "watched",
        "map_points": "places",
    },
    "simulator": {"MAX_ROWS_PER_DAY": "ROWS_A_DAY"},
}
"""Module of a use case -> its hooks, new name -> old name."""


def install() -> None:
    """Redirect imports of old modules to the new ones. Only modules that do not exist are looked up here."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())


def renamed(module: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """``__getattr__`` for a module that stayed while some of its names changed.

    Args:
        module: The module's import path.
        names: Old name -> new name.
    """

    def get(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        _warn(f"{module}.{name}", names[name])
        return getattr(sys.modules[module], names[name])

    return get


def accepts_old_fields(**old_to_new: str) -> Callable[[C], C]:
    """Accept and expose old field names of a dataclass; a named tuple exposes them only."""

    def decorate(cls: C) -> C:
        if not issubclass(cls, tuple):
            original: Callable[..., None] = cls.__init__

            @wraps(original)
            def init(self: Any, *args: Any, **fields: Any) -> None:
                for old in fields.keys() & old_to_new.keys():
                    _warn(f"{cls.__name__}({old}=)", old_to_new[old])
                    fields[old_to_new[old]] = fields.pop(old)
                original(self, *args, **fields)

            type.__setattr__(cls, "__init__", init)
        for old, new in old_to_new.items():
            setattr(cls, old, property(_reader(cls.__name__, old, new)))
        return cls

    return decorate


def accepts_flat_fields(**groups: tuple[type, Mapping[str, str]]) -> Callable[[C], C]:
    """Accept and expose the fields of a dataclass's groups as its own, as release 0.1.0 wrote them.

    Args:
        **groups: Field that holds a group -> the group's class, and the fields that were renamed: old -> new.
    """
    homes = {
        old: (group, new)
        for group, (kind, renames) in groups.items()
        for old, new in [*((item.name, item.name) for item in dataclasses.fields(kind)), *renames.items()]
    }

    def decorate(cls: C) -> C:
        original: Callable[..., None] = vars(cls)["__init__"]

        @wraps(original)
        def init(self: Any, *args: Any, **fields: Any) -> None:
            parts: dict[str, dict[str, Any]] = {}
            for old in fields.keys() & homes.keys():
                group, new = homes[old]
                _warn(f"{cls.__name__}({old}=)", f"{group}.{new}")
                parts.setdefault(group, {})[new] = fields.pop(old)
            for group, given in parts.items():
                kind = groups[group][0]
                fields[group] = dataclasses.replace(fields[group], **given) if group in fields else kind(**given)
            original(self, *args, **fields)

        type.__setattr__(cls, "__init__", init)
        for old, (group, new) in homes.items():
            setattr(cls, old, property(_reader(cls.__name__, old, f"{group}.{new}")))
        return cls

    return decorate


def with_new_hooks(module: ModuleType, kind: str) -> Any:
    """Return the module if it has the current hooks, otherwise a copy with its old hooks under their new names.

    Args:
        module: A module of a use case.
        kind: Which one: ``raw``, ``features`` or ``simulator``.
    """
    old = {new: name for new, name in HOOKS.get(kind, {}).items() if not hasattr(module, new) and hasattr(module, name)}
    for new, name in old.items():
        _warn(f"{module.__name__}.{name}", new)
    return (
        SimpleNamespace(**vars(module) | {new: getattr(module, name) for new, name in old.items()}) if old else module
    )


class _Finder:
    def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
        return ModuleSpec(name, _Loader(), is_package=not MODULES[name][0]) if name in MODULES else None  # type: ignore[arg-type]


class _Loader:
    """Creates an empty module that resolves attributes in the new one."""

    def create_module(self, _: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        old, (new, names) = module.__name__, MODULES[module.__name__]
        if not new:
            module.__path__ = []
            return
        _warn(old, new)
        target = importlib.import_module(new)

        def get(name: str) -> Any:
            if name in names:
                _warn(f"{old}.{name}", f"{new}.{names[name]}")
            return getattr(target, names.get(name, name))

        module.__getattr__ = get  # type: ignore[method-assign]


def _reader(cls: str, old: str, new: str) -> Callable[[Any], Any]:
    def read(self: Any) -> Any:
        _warn(f"{cls}.{old}", new)
        return attrgetter(new)(self)

    return read


def _warn(old: str, new: str) -> None:
    text = f"{old} is called {new} now; the old name goes with the next release."
    warnings.warn(text, DeprecationWarning, stacklevel=3)
