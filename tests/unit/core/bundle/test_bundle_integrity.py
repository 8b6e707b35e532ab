"""A bundle is read whole and unchanged, or not at all."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from services.core.bundle.manifest import BundleManifest, bundle_hash, read_manifest, write_manifest
from services.core.bundle.predictor import Predictor, load_arrays, save_arrays
from services.core.errors import VigieError
from tests.toy.declaration import USE_CASE


@pytest.fixture
def copy(bundle: Path, tmp_path: Path) -> Path:
    return shutil.copytree(bundle, tmp_path / "bundle")


def every_file(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "bundle.json")


def test_an_untouched_bundle_is_read(copy: Path) -> None:
    assert read_manifest(copy).use_case == "toy"


def test_one_changed_byte_in_any_file_is_refused(copy: Path) -> None:
    for path in every_file(copy):
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(VigieError, match=path.name):
            read_manifest(copy)
        path.write_bytes(content)


def test_a_missing_file_is_refused(copy: Path) -> None:
    (copy / "targets" / "late" / "calibration.json").unlink()
    with pytest.raises(VigieError, match=r"calibration\.json"):
        Predictor(USE_CASE, copy)


def test_a_file_that_the_manifest_does_not_name_is_refused(copy: Path) -> None:
    (copy / "extra.pkl").write_bytes(b"\x80\x04.")
    with pytest.raises(VigieError, match=r"extra\.pkl"):
        Predictor(USE_CASE, copy)


def test_a_manifest_cut_short_is_refused(copy: Path) -> None:
    manifest = copy / "bundle.json"
    manifest.write_bytes(manifest.read_bytes()[:200])
    with pytest.raises(VigieError, match="not a readable bundle"):
        read_manifest(copy)


def test_another_format_is_refused(copy: Path) -> None:
    manifest = read_manifest(copy)
    write_manifest(copy, manifest.model_copy(update={"format": 99}))
    with pytest.raises(VigieError, match="format 99"):
        read_manifest(copy)


def test_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VigieError):
        read_manifest(tmp_path / "nowhere")


def test_the_hash_is_that_of_the_files_and_not_of_the_moment(bundle: Path) -> None:
    manifest = read_manifest(bundle)
    later = manifest.model_copy(update={"created": "2030-01-01T00:00:00+00:00"})
    other = manifest.model_copy(update={"files": {**manifest.files, "fitted.npz": "0" * 64}})
    assert bundle_hash(later) == bundle_hash(manifest) != bundle_hash(other)


def test_an_array_of_objects_cannot_be_stored(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="allow_pickle"):
        save_arrays(tmp_path / "fitted.npz", {"words": np.array(["a", None], dtype=object)})


def test_a_pickled_array_in_a_bundle_is_refused_even_with_matching_hashes(copy: Path) -> None:
    with (copy / "fitted.npz").open("wb") as stream:
        np.savez(stream, allow_pickle=True, towns=np.array([print], dtype=object))
    manifest = read_again(copy)
    assert manifest.files["fitted.npz"]
    with pytest.raises(ValueError, match="allow_pickle"):
        Predictor(USE_CASE, copy)


def read_again(folder: Path) -> BundleManifest:
    """Make the manifest true for what the folder holds now."""
    manifest = BundleManifest.model_validate_json((folder / "bundle.json").read_bytes())
    write_manifest(folder, manifest)
    return read_manifest(folder)


def test_stored_arrays_come_back_equal_and_as_equal_bytes(tmp_path: Path) -> None:
    arrays = {"b": np.arange(3.0), "a": np.array(["x", "y"])}
    save_arrays(tmp_path / "one.npz", arrays)
    save_arrays(tmp_path / "two.npz", dict(reversed(arrays.items())))
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    loaded = load_arrays(tmp_path / "one.npz")
    assert loaded["a"].tolist() == ["x", "y"]
    assert loaded["b"].tolist() == [0.0, 1.0, 2.0]


def test_a_bundle_of_other_features_than_the_code_makes_is_refused(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        USE_CASE.features, "FEATURE_NAMES", {**USE_CASE.features.FEATURE_NAMES, "kind": ("letter", "weather")}
    )
    with pytest.raises(VigieError, match="distance, weather"):
        Predictor(USE_CASE, copy)
