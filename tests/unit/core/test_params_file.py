"""``params.yaml`` and ``dvc.yaml`` fit the code."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from services.core import params, use_case_registry
from services.core.errors import VigieError
from services.core.settings import CHECKOUT
from services.core.steps import STAGES


def test_the_checkouts_parameters_are_valid_and_cover_every_use_case() -> None:
    assert set(params.load_params(CHECKOUT).use_cases) == set(use_case_registry.names())


def test_the_code_of_every_use_case_is_where_the_parameters_say() -> None:
    for name, entry in params.load_params(CHECKOUT).use_cases.items():
        assert entry.code == use_case_registry.packages()[name].replace(".", "/")
        assert (CHECKOUT / entry.code / "declaration.py").is_file()


def test_the_stages_are_those_of_the_one_list_of_steps() -> None:
    stages = yaml.safe_load((CHECKOUT / "dvc.yaml").read_text())["stages"]
    assert tuple(stages) == STAGES


def test_every_folder_and_file_of_code_that_a_stage_depends_on_exists() -> None:
    stages = yaml.safe_load((CHECKOUT / "dvc.yaml").read_text())["stages"]
    code = {dep for stage in stages.values() for dep in stage["do"]["deps"] if dep.startswith("services/")}
    assert [dep for dep in sorted(code) if not (CHECKOUT / dep).exists()] == []


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("use_cases: {}\ngate: {confidnce: 0.9}", "gate.confidnce: Extra inputs are not permitted"),
        ("use_cases: {}\ngate: {confidence: 2}", "gate.confidence: Input should be less than 1"),
        ("use_cases: {a: {}}", "use_cases.a.code: Field required"),
        ("use_cases: [", "is not valid YAML"),
    ],
)
def test_a_mistake_in_the_file_is_named(tmp_path: Path, content: str, problem: str) -> None:
    (tmp_path / "params.yaml").write_text(content)
    with pytest.raises(VigieError, match=problem):
        params.load_params(tmp_path)


def test_a_missing_file_says_where_to_run(tmp_path: Path) -> None:
    with pytest.raises(VigieError, match=r"There is no params\.yaml"):
        params.load_params(tmp_path)


def test_a_use_case_without_an_entry_is_named() -> None:
    with pytest.raises(VigieError, match="has no entry for the use case 'chess'"):
        params.load_params(CHECKOUT).of("chess")
