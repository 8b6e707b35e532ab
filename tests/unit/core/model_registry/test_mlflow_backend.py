"""What is written into MLflow about a run, within MLflow's rules for names and lengths."""

from __future__ import annotations

import re
from pathlib import Path

from services.core.bundle.manifest import BundleManifest
from services.core.model_registry.mlflow_backend import from_mlflow, run_metrics, run_params, version_tags

MANIFEST = BundleManifest(
    use_case="toy",
    created="2026-01-01T00:00:00+00:00",
    simulated=True,
    data={"examples.rows": 10},
    versions={"code": "abc", "numpy": "2"},
    targets={},
    files={"fitted.npz": "0" * 64},
)


def test_parameters_come_from_the_use_cases_own_stages(tmp_path: Path) -> None:
    lock = tmp_path / "dvc.lock"
    lock.write_text(
        "stages:\n  train@toy:\n    params: {params.yaml: {use_cases.toy.train: {folds: 3, search: {trials: 0}}}}\n"
        "  train@other:\n    params: {params.yaml: {use_cases.other.train: {folds: 9}}}\n"
    )
    found = run_params(MANIFEST, lock)
    assert found["use_cases.toy.train.folds"] == "3"
    assert found["use_cases.toy.train.search.trials"] == "0"
    assert not any("other" in key for key in found)
    assert found["data.examples.rows"] == "10"


def test_without_a_lock_file_the_bundles_own_facts_remain(tmp_path: Path) -> None:
    assert run_params(MANIFEST, tmp_path / "dvc.lock")["versions.code"] == "abc"


def test_names_of_metrics_are_those_that_mlflow_takes() -> None:
    found = run_metrics(
        {"metrics": {"seconds": {"mae": 1.0}}}, {"area": {"Île-de-France (75)": {"seconds": {"mae": 2}}}}
    )
    assert found["seconds/mae"] == 1.0
    assert all(re.fullmatch(r"[\w\-./ ]+", name, re.ASCII) for name in found)
    assert len(found) == 2


def test_a_version_reads_back_what_its_tags_say() -> None:
    class Found:
        name, version, run_id, source, aliases = "toy", "3", "r", "file:///x", ["champion"]
        tags = version_tags(MANIFEST, {"metrics": {"seconds": {"mae": 1.23456789}}})

    version = from_mlflow(Found)
    assert (version.number, version.simulated, version.aliases) == (3, True, ("champion",))
    assert version.metrics == {"seconds": {"mae": 1.234568}}
    assert len(version.bundle_hash) == 64


def test_a_version_that_somebody_else_registered_matches_no_bundle() -> None:
    class Found:
        name, version, run_id, source, aliases, tags = "toy", "1", None, None, None, None

    assert from_mlflow(Found).bundle_hash == ""
