"""A use case written for release 0.1.0 still trains and answers, and says which names it has to change."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from string import Template

import pytest

from services import deprecated_names
from services.core import use_case_registry
from services.core.bundle.predictor import Predictor
from services.core.contract import columns
from services.core.contract.use_case import Features, InputScenario, Regression, RegressionPrediction, example_request
from services.core.params import Train
from services.core.raw_files.reader import read_folder
from services.core.settings import CHECKOUT
from services.training.stage.train import train
from tests.installed_packages import forget
from tests.toy.declaration import USE_CASE as TOY

TEMPLATE = CHECKOUT / "tests" / "release_0_1_0"
"""What ``new-use-case`` of release 0.1.0 wrote, as it was."""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the use case ``lamps`` as 0.1.0 wrote it; the registry looks there."""
    words = {"name": "lamps", "package": "lamps", "Class": "Lamps", "title": "Lamps", "dashed": "lamps"}
    (tmp_path / "lamps").mkdir()
    for file in TEMPLATE.glob("*.txt"):
        to = tmp_path if file.name.startswith("test_") else tmp_path / "lamps"
        (to / file.stem).write_text(Template(file.read_text("utf-8")).substitute(words), "utf-8")
    # A warning comes with the first import in a process: whatever earlier tests imported is imported anew.
    for name in [name for name in sys.modules if name.partition(".")[0] == "lamps" or name in deprecated_names.MODULES]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv(use_case_registry.EXTRA_USE_CASES_VARIABLE, "lamps")
    forget()
    yield tmp_path
    monkeypatch.undo()
    for name in [name for name in sys.modules if name.partition(".")[0] == "lamps"]:
        del sys.modules[name]
    forget()


def test_a_use_case_of_release_0_1_0_trains_and_answers_with_warnings(project: Path) -> None:
    with pytest.warns(DeprecationWarning, match="is called") as caught:  # noqa: PT031 - all of it warns
        lamps = use_case_registry.get("lamps")
        lamps.simulator.write(project, seed=1, rows=300, start="2024-01-01", days=5)
        examples = lamps.raw.build_examples(read_folder("lamps", project))
        bundle = train(lamps, examples, {}, {}, params=Train(), folder=project / "bundle", simulated=True)
        request = lamps.serving.request.model_validate(example_request(lamps.serving.request)).model_dump()
        value = (
            Predictor(lamps, bundle).predict(columns.from_rows(lamps.serving.request, [request]), {}).values["value"]
        )
    assert isinstance(value, RegressionPrediction)
    assert value.lower <= value.value <= value.upper
    said = {str(warning.message).partition(" is called ")[0] for warning in caught}
    assert {
        "services.core.usecases.contract",
        "services.core.usecases.contract.Quantity",
        "services.core.usecases.fields.described",
        "Target(guards=)",
        "Table(marks=)",
        "UseCase(group=)",
        "UseCase(targets=)",
        "lamps.raw.canonical",
        "lamps.features.MATRICES",
    } <= said


def test_the_tests_that_release_0_1_0_wrote_pass(project: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "test_use_case.py"],
        cwd=project,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(project), str(CHECKOUT)])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "is called services.core.contract.use_case now" in done.stdout


@pytest.mark.parametrize("old", sorted(old for old, (new, _) in deprecated_names.MODULES.items() if new))
def test_every_old_module_hands_out_the_objects_of_the_new_one(old: str) -> None:
    new, names = deprecated_names.MODULES[old]
    sys.modules.pop(old, None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        module, target = importlib.import_module(old), importlib.import_module(new)
        for old_name, new_name in names.items():
            assert getattr(module, old_name) is getattr(target, new_name)
        assert module.__doc__ is None
    with pytest.raises(AttributeError):
        module.no_such_name  # noqa: B018


def test_a_warning_points_at_the_line_that_has_the_old_name() -> None:
    sys.modules.pop("services.core.usecases.outputs", None)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        from services.core.usecases.outputs import Quantity
    assert Quantity is Regression
    assert len(caught) == 2
    assert {warning.filename for warning in caught} == {__file__}


def test_old_fields_are_taken_and_shown() -> None:
    with pytest.warns(DeprecationWarning, match=r"InputScenario\(beside=\)"):
        scenario = InputScenario("a", "b", beside={"mae": "mae_a"})  # type: ignore[call-arg]
    assert scenario.report_as == {"mae": "mae_a"}
    with pytest.warns(DeprecationWarning, match="extras"):
        assert Features({}, {"x": 1}).facts == {"x": 1}  # type: ignore[attr-defined]


def test_flat_fields_of_a_use_case_are_taken_and_shown() -> None:
    with pytest.warns(DeprecationWarning) as caught:  # noqa: PT030 - both are looked at
        moved = replace(TOY, zone="Europe/Paris", variants=())  # type: ignore[call-arg]
    assert {str(warning.message).partition(" now;")[0] for warning in caught} == {
        "UseCase(zone=) is called data.timezone",
        "UseCase(variants=) is called modelling.input_scenarios",
    }
    assert (moved.data.timezone, moved.data.tables) == ("Europe/Paris", TOY.data.tables)
    assert moved.modelling == replace(TOY.modelling, input_scenarios=())
    with pytest.warns(DeprecationWarning, match=r"UseCase.baseline is called serving.fallback_prediction"):
        assert TOY.baseline is TOY.serving.fallback_prediction  # type: ignore[attr-defined]


def test_a_name_of_a_module_that_stayed_leads_to_the_new_one() -> None:
    from services.core.scoring import report

    with pytest.warns(DeprecationWarning, match="build_report"):
        assert report.report_of is report.build_report  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match="no attribute 'report_by'"):
        report.report_by  # type: ignore[attr-defined]  # noqa: B018
