"""Each image's set of dependencies is what its extras ask for, in the versions of the one lock."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from functools import lru_cache
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from services.core.settings import CHECKOUT

REQUIREMENTS = CHECKOUT / "requirements"
SETS = ("serving", "ml", "dashboard", "airflow")
_PIN = re.compile(r"^(?P<name>[a-z0-9._-]+)(\[.*\])?==(?P<version>[^ ;\\]+)(?: *; *(?P<marker>[^\\]+?))?(?: *\\)?$")


@lru_cache
def pins(file: Path) -> dict[tuple[str, str], frozenset[str]]:
    """(name, version) -> hashes."""
    found: dict[tuple[str, str], set[str]] = {}
    hashes: set[str] = set()
    for line in file.read_text().splitlines():
        if pin := _PIN.match(line):
            hashes = found[pin["name"], pin["version"]] = set()
        else:
            hash_ = re.fullmatch(r" +--hash=(sha256:[0-9a-f]{64})(?: \\)?", line)
            assert hash_, f"{file.name}: not a pin, not a hash: {line!r}"
            hashes.add(hash_[1])
    return {pin: frozenset(all_of_it) for pin, all_of_it in found.items()}


@pytest.mark.parametrize("name", [*SETS, "build"])
def test_every_pin_and_hash_is_the_locks(name: str) -> None:
    lock = pins(REQUIREMENTS / "lock.txt")
    own = pins(REQUIREMENTS / f"{name}.txt")
    assert own
    assert {pin: hashes for pin, hashes in own.items() if lock.get(pin) != hashes} == {}


@pytest.mark.parametrize("name", SETS)
def test_a_set_is_what_its_extras_ask_for(name: str) -> None:
    here = {pin["name"] for line in (REQUIREMENTS / f"{name}.txt").read_text().splitlines()
            if (pin := _PIN.match(line)) and _applies(line)}  # fmt: skip
    assert here == set(_closure(_asked(name)))


@pytest.mark.parametrize("file", sorted(REQUIREMENTS.glob("*.txt")), ids=lambda file: file.name)
def test_no_address_is_named(file: Path) -> None:
    assert "://" not in file.read_text()


def test_calls_and_orchestration_carry_no_heavy_packages() -> None:
    for name in ("serving", "airflow"):
        heavy = {"mlflow", "pandas", "scikit-learn", "pyarrow", "dvc", "matplotlib", "xgboost", "typer"}
        assert not heavy - {"typer"} & {found for found, _ in pins(REQUIREMENTS / f"{name}.txt")}


def _applies(line: str) -> bool:
    return Requirement(line.removesuffix("\\").strip()).marker is None or bool(
        Requirement(line.removesuffix("\\").strip()).marker.evaluate()  # type: ignore[union-attr]
    )


def _asked(extra: str) -> list[Requirement]:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    asked = [Requirement(text) for text in project["dependencies"]]
    waiting = [extra]
    while waiting:
        for requirement in map(Requirement, project["optional-dependencies"][waiting.pop()]):
            if requirement.name == project["name"]:
                waiting += requirement.extras
            else:
                asked.append(requirement)
    return asked


def _closure(asked: list[Requirement]) -> Iterator[str]:
    """Names of all that is needed on this machine, from what the installed packages say of themselves."""
    seen: set[tuple[str, str]] = set()
    named: set[str] = set()
    waiting = [(requirement, {""}) for requirement in asked]
    while waiting:
        requirement, extras = waiting.pop()
        if requirement.marker and not any(requirement.marker.evaluate({"extra": extra}) for extra in extras):
            continue
        name = canonicalize_name(requirement.name)
        if name not in named:
            named.add(name)
            yield name
        for extra in {"", *requirement.extras}:
            if (name, extra) not in seen:
                seen.add((name, extra))
                waiting += [(Requirement(text), {extra}) for text in metadata.requires(name) or []]
