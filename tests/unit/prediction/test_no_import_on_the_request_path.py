"""Everything that a request needs was imported when its model was loaded."""

from __future__ import annotations

import builtins
import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.core.contract.use_case import Text
from tests.toy.declaration import USE_CASE

OURS = ("services.", "tests.toy")


@pytest.fixture
def imports(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    """Within ``with imports() as seen:`` every import of ours, or by code of ours, is noted."""

    @contextmanager
    def watching() -> Iterator[list[str]]:
        seen: list[str] = []
        by_statement, by_name = builtins.__import__, importlib.import_module

        def note(name: str) -> None:
            importer = str(sys._getframe(2).f_globals.get("__name__", ""))
            if name.startswith(OURS) or importer.startswith(OURS):
                seen.append(f"{importer} imports {name}")

        def statement(name: str, *rest: Any, **options: Any) -> Any:
            note(name)
            return by_statement(name, *rest, **options)

        def named(name: str, package: str | None = None) -> Any:
            note(name)
            return by_name(name, package)

        with monkeypatch.context() as patched:
            patched.setattr(builtins, "__import__", statement)
            patched.setattr(importlib, "import_module", named)
            yield seen

    return watching


@pytest.fixture
def watched_service(
    make_service: Callable[..., Any], toy_bundles: list[Path], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """Its use case derives columns for drift, so that every hook of the feature module is used."""
    monkeypatch.setattr(USE_CASE.features, "drift_features", lambda columns, _: {"far": np.array(columns["distance"])})
    service = make_service(
        use_cases=[replace(USE_CASE, serving=replace(USE_CASE.serving, drift_features={"far": Text("Far", "Loin")}))]
    )
    service.registry.promote("toy", 1, toy_bundles[0])
    service.poll()
    return service


@pytest.mark.parametrize("path", ["predict", "predict/batch", "explain"])
def test_a_request_imports_nothing(watched_service: Any, imports: Callable[[], Any], path: str) -> None:
    call = {"rows": [watched_service.call]} if path == "predict/batch" else watched_service.call
    watched_service.client.post(f"/v1/toy/{path}", json=call)
    with imports() as seen:
        answer = watched_service.client.post(f"/v1/toy/{path}", json=call)
    assert answer.json()["source"] == "champion"
    assert seen == []


def test_the_baseline_imports_nothing(make_service: Callable[..., Any], imports: Callable[[], Any]) -> None:
    service = make_service()
    service.predict()
    with imports() as seen:
        assert service.predict()["source"] == "baseline"
    assert seen == []


def test_the_modules_of_a_use_case_are_imported_once(imports: Callable[[], Any]) -> None:
    use_case, features = replace(USE_CASE), USE_CASE.features
    with imports() as seen:
        assert use_case.features is use_case.features is features
    assert len(seen) == 1


def test_another_package_of_the_same_name_brings_its_own_modules() -> None:
    first = replace(USE_CASE, package="tests.toy")
    assert first.features is USE_CASE.features
    second = replace(first, package="services.use_cases.wine_quality")
    assert second.features is not USE_CASE.features
    assert first == replace(first)
