"""What a use case leaves out has a default, and what has none is asked for by its name."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

from services.core.contract.modules import FeatureSet, RawData, Simulator, load_hooks
from services.core.contract.use_case import Features, ParsedTable
from services.core.errors import VigieError


def module(name: str, **members: Any) -> ModuleType:
    made = ModuleType(name)
    vars(made).update(members)
    return made


def features(columns: Any, fitted: Any, context: Any) -> Features:
    return Features({"all": np.stack([columns["a"]], axis=1)}, {})


LEAST = {"features": features, "FEATURE_NAMES": {"all": ("a",)}, "FEATURE_INPUTS": {"a": ("a",)}}


def test_one_function_and_the_names_of_its_features_are_enough() -> None:
    hooks = load_hooks(FeatureSet, module("least", **LEAST), "features")
    columns = {"a": np.ones(2)}
    assert hooks.features(columns, None, {}).matrices["all"].shape == (2, 1)
    assert hooks.fit(columns, {}, {}, {}) == {}
    assert hooks.prepare({"b": columns["a"]}) == {"b": columns["a"]}
    assert hooks.post_training_checks(columns, {}, {}, {}) == {}
    assert hooks.drift_features(columns, None) == {}
    assert hooks.map_points(None) == {}


def test_a_function_of_the_module_takes_the_default_s_place() -> None:
    hooks = load_hooks(FeatureSet, module("more", **LEAST, prepare=len), "features")
    assert hooks.prepare({"a": np.ones(1), "b": np.ones(1)}) == 2


def test_files_need_a_parser_and_examples_alone() -> None:
    hooks = load_hooks(RawData, module("raw", parse_table=ParsedTable, build_examples=dict), "raw")
    rows = pd.DataFrame({"a": [1]})
    assert hooks.build_label_examples(rows) is rows
    assert hooks.lookup_tables({}) == hooks.training_context({}) == {}


def test_a_simulator_bounds_its_rows_a_day_where_it_says_so() -> None:
    assert load_hooks(Simulator, module("plain", write=print), "simulator").MAX_ROWS_PER_DAY is None
    assert load_hooks(Simulator, module("few", write=print, MAX_ROWS_PER_DAY=3), "simulator").MAX_ROWS_PER_DAY == 3


def test_a_subclass_of_the_base_class_does_as_well() -> None:
    class Own(Simulator):
        def write(self, folder: Path, **_: Any) -> list[Path]:
            return [folder]

    Own.__module__ = "own"
    assert load_hooks(Simulator, module("own", Own=Own, Simulator=Simulator), "simulator").write(Path("a")) == [
        Path("a")
    ]  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("base", "kind", "members", "missing"),
    [
        (FeatureSet, "features", {"features": features}, "FEATURE_INPUTS, FEATURE_NAMES"),
        (RawData, "raw", {"parse_table": ParsedTable}, "build_examples"),
        (Simulator, "simulator", {}, "write"),
    ],
)
def test_what_has_no_default_is_asked_for(base: Any, kind: str, members: dict[str, Any], missing: str) -> None:
    with pytest.raises(VigieError, match=f"lacks {missing}"):
        load_hooks(base, module("partial", **members), kind)


def test_a_module_is_read_once() -> None:
    least = module("once", **LEAST)
    assert load_hooks(FeatureSet, least, "features") is load_hooks(FeatureSet, least, "features")
