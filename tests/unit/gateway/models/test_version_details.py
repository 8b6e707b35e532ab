"""A version as the gateway shows it to people: metrics, decision, card, plots, parameters, data; and nothing else of
the disk that they lie on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from services.core.errors import NotFoundError
from services.core.model_registry.version import RegisteredVersion
from services.core.settings import Settings
from services.gateway.models.service import MAX_ARTIFACT_MB, RunArtifacts, read_model_card, read_plot, version_details

LOCK = "schema: '2.0'\nstages:\n  train@toy:\n    cmd: x\n    params:\n      params.yaml:\n        train: {folds: 2}\n"
PNG = b"\x89PNG"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings().model_copy(update={"home_path": tmp_path, "registry_url": None})


@pytest.fixture
def version(tmp_path: Path) -> RegisteredVersion:
    run = tmp_path / "registry" / "artifacts" / "toy" / "run-1" / "artifacts"
    (run / "evaluation" / "plots").mkdir(parents=True)
    (run / "bundle").mkdir()
    report = {
        "rows": 200,
        "metrics": {"seconds": {"mae": 60.5}},
        "baseline": {"seconds": {"mae": 90.0}},
        "importance": {"seconds": {"distance": 0.8}},
    }
    (run / "evaluation" / "metrics.json").write_text(json.dumps(report))
    (run / "evaluation" / "subgroups.json").write_text(json.dumps({"kind": {}}))
    (run / "evaluation" / "model_card.md").write_text("# Deliveries\n")
    (run / "evaluation" / "plots" / "late-calibration.png").write_bytes(PNG)
    (run / "evaluation" / "plots" / "notes.txt").write_text("not a plot")
    (run / "gate.json").write_text(json.dumps({"promote": True, "reasons": ["It is better."]}))
    (run / "dvc.lock").write_text(LOCK)
    manifest = {"use_case": "toy", "created": "2026-11-20T00:00:00Z", "simulated": True, "targets": {}, "files": {}}
    about = {"data": {"seconds.train.rows": 900}, "versions": {"python": "3.11"}}
    (run / "bundle" / "bundle.json").write_text(json.dumps(manifest | about))
    return RegisteredVersion("toy", 1, "f" * 64, "2026-11-20T00:00:00Z", True, "run-1", (run / "bundle").as_uri())


def test_a_version_is_told_in_full(settings: Settings, version: RegisteredVersion) -> None:
    found = version_details(settings, version)
    assert (found.rows, found.metrics) == (200, {"seconds": {"mae": 60.5}})
    assert found.baseline == {"seconds": {"mae": 90.0}}
    assert found.gate == {"promote": True, "reasons": ["It is better."]}
    assert found.parameters == {"train.folds": "2"}
    assert found.data == {"seconds.train.rows": 900}
    assert found.versions == {"python": "3.11"}
    assert found.plots == ["late-calibration.png"]
    assert read_model_card(settings, version) == "# Deliveries\n"
    assert read_plot(settings, version, "late-calibration.png") == PNG


def test_a_version_without_files_is_empty_and_no_error(settings: Settings) -> None:
    bare = RegisteredVersion(
        "toy", 2, "", "", False, "run-2", "file:///nowhere/bundle", metrics={"seconds": {"mae": 1.0}}
    )
    found = version_details(settings, bare)
    assert (found.metrics, found.gate, found.parameters, found.plots) == ({"seconds": {"mae": 1.0}}, None, {}, [])
    with pytest.raises(NotFoundError):
        read_model_card(settings, bare)


@pytest.mark.parametrize("name", ["../metrics.json", "../../gate.json", "notes.txt", "nothing.png", "a/../b.png", ""])
def test_only_plots_are_given_as_plots(settings: Settings, version: RegisteredVersion, name: str) -> None:
    with pytest.raises(NotFoundError):
        read_plot(settings, version, name)


@pytest.mark.parametrize("path", ["../../../../../database/vigie.db", "/etc/passwd", "../" * 12 + "etc/passwd"])
def test_nothing_outside_the_registry_is_read(settings: Settings, version: RegisteredVersion, path: str) -> None:
    database = settings.home.database
    database.parent.mkdir(parents=True)
    database.write_text("secret")
    with pytest.raises(NotFoundError):
        RunArtifacts(settings, version).content(path)


def test_a_version_whose_source_lies_elsewhere_gives_nothing(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "other" / "evaluation").mkdir(parents=True)
    (tmp_path / "other" / "evaluation" / "model_card.md").write_text("# Secret")
    moved = RegisteredVersion("toy", 3, "", "", False, "run-3", (tmp_path / "other" / "bundle").as_uri())
    with pytest.raises(NotFoundError):
        read_model_card(settings, moved)


def test_a_huge_file_is_not_passed_on(settings: Settings, version: RegisteredVersion) -> None:
    card = settings.home.registry_artifacts / "toy" / "run-1" / "artifacts" / "evaluation" / "model_card.md"
    with card.open("wb") as stream:
        stream.truncate(MAX_ARTIFACT_MB * 1_000_000 + 1)
    with pytest.raises(NotFoundError):
        read_model_card(settings, version)
