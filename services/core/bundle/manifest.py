"""The bundle on disk: its manifest, file hashes and arrays.

A bundle is a folder without pickle:

``bundle.json``            this manifest: what it is, what made it, and the SHA-256 of every file
``fitted.npz``             what the use case's ``fit`` and ``audit`` learned (no objects inside)
``inputs.json``            ranges and known words of each request field, for warnings
``targets/<target>/``      ``<member>.ubj`` native boosters, ``<member>.onnx`` the same for serving,
                           ``calibration.json``; of a late fusion ``<expert>.npz``, its arrays; of any other
                           estimator ``<member>.onnx`` alone
``importance.json``        each input's share of each target's gain
``reference.parquet``      a sample of training rows, for drift
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from services.core.errors import VigieError
from services.core.io import file_sha256

if TYPE_CHECKING:
    from numpy.typing import NDArray


def load_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Read arrays from an ``.npz`` file, without pickle.

    Args:
        path: The file.

    Returns:
        Name -> array of any shape and dtype, as ``save_arrays`` was given them.

    Raises:
        OSError: there is no such file.
        ValueError: it holds an array of objects.
    """
    import numpy as np  # noqa: PLC0415 - the command line reads manifests without arrays

    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def save_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays into an ``.npz`` file, without pickle.

    ``numpy.savez`` stamps no time into the archive's members, so equal arrays give equal files.

    Args:
        path: The file.
        arrays: Name -> array of any shape: numbers, booleans or unicode strings.

    Raises:
        ValueError: one is an array of objects.
    """
    import numpy as np  # noqa: PLC0415

    with path.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **dict(sorted(arrays.items())))


BUNDLE_FORMAT = 1


class BundleManifest(BaseModel):
    """The content of ``bundle.json``: what the bundle is, what made it, and the hash of every file.

    Attributes:
        format: ``BUNDLE_FORMAT`` of the code that wrote it.
        use_case: Name of the use case.
        created: When it was made, ISO in UTC.
        simulated: Whether it learned from simulated data.
        data: What it was made from: hashes, row counts and the time span of each slice.
        versions: Python, the libraries and the code that made it.
        targets: Target name -> its models.
        files: Path inside the bundle -> SHA-256, hexadecimal.
    """

    model_config = ConfigDict(extra="forbid")

    format: int = BUNDLE_FORMAT
    use_case: str
    created: str
    simulated: bool
    data: dict[str, str | int | float] = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=dict)
    targets: dict[str, TargetManifest]
    files: dict[str, str]


class TargetManifest(BaseModel):
    """The models of one target, and the features that they learned from.

    Attributes:
        matrix: Name of the matrix that the models read.
        features: Names of its p columns, in order.
        members: Names of the models whose outputs are averaged.
        lower: Name of the booster of the interval's lower quantile, if there is one.
        upper: Name of the booster of its upper quantile.
        experts: Names of the experts of a late fusion, which has no boosters.
        estimator: Class of the estimator that the members were converted from, where they are no boosters.
        labels: Names of the classes, where they are learned.
        left_out: Repetition and fold of the cross-validation that each member did not learn from; empty where it had
            a test slice.
    """

    model_config = ConfigDict(extra="forbid")

    matrix: str
    features: tuple[str, ...]
    members: tuple[str, ...]
    lower: str | None = None
    upper: str | None = None
    experts: tuple[str, ...] = ()
    estimator: str = ""
    labels: tuple[str, ...] = ()
    left_out: tuple[tuple[int, int], ...] = ()


class VerifiedBundle(NamedTuple):
    """A bundle whose every file was hashed and compared, so that nobody need hash it again.

    Attributes:
        folder: Where its files are.
        manifest: The content of its ``bundle.json``.
    """

    folder: Path
    manifest: BundleManifest


def bundle_hash(manifest: BundleManifest) -> str:
    """Compute the hash that identifies a bundle, from the hashes of its files.

    Time of creation does not count, so that the same data and code give the same bundle.

    Args:
        manifest: A manifest whose ``files`` are filled in.

    Returns:
        SHA-256, hexadecimal.
    """
    listing = json.dumps(sorted(manifest.files.items())).encode()
    return hashlib.sha256(listing).hexdigest()


def read_manifest(folder: Path) -> BundleManifest:
    """Read a bundle's manifest and verify its files: each is there and has its hash, and there are no others.

    Args:
        folder: The bundle.

    Returns:
        The manifest.

    Raises:
        VigieError: the bundle is missing, incomplete, changed or of another format.
    """
    path = folder / "bundle.json"
    try:
        manifest = BundleManifest.model_validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise VigieError(f"{folder} is not a readable bundle: {error}") from error
    if manifest.format != BUNDLE_FORMAT:
        raise VigieError(
            f"The bundle {folder} has format {manifest.format}.",
            expected=f"format {BUNDLE_FORMAT}",
            action="Train it again.",
        )
    present = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()} - {"bundle.json"}
    if present != set(manifest.files):
        odd = sorted(present ^ set(manifest.files))
        raise VigieError(f"The bundle {folder} has missing or unknown files: {', '.join(odd[:5])}")
    for name, digest in manifest.files.items():
        if file_sha256(folder / name) != digest:
            raise VigieError(f"{name} in the bundle {folder} is not the file that was written: its hash differs.")
    return manifest


def verify_bundle(folder: Path, digest: str) -> VerifiedBundle:
    """Verify that a folder holds the bundle that was registered.

    Args:
        folder: The bundle.
        digest: The hash by which it was registered (see ``bundle_hash``).

    Returns:
        The bundle, which need not be hashed again.

    Raises:
        VigieError: the bundle is not whole (see ``read_manifest``), or another one.
    """
    manifest = read_manifest(folder)
    if bundle_hash(manifest) != digest:
        raise VigieError(
            f"The bundle in {folder} is another one than was registered.",
            expected=digest[:12],
            action="Roll back or train again.",
        )
    return VerifiedBundle(folder, manifest)


def write_manifest(folder: Path, manifest: BundleManifest) -> None:
    """Write ``bundle.json``, after all other files, with the hash of each of them.

    Args:
        folder: The bundle, whose other files are complete.
        manifest: The manifest; its ``files`` are replaced.
    """
    files = {p.relative_to(folder).as_posix(): file_sha256(p) for p in sorted(folder.rglob("*")) if p.is_file()}
    files.pop("bundle.json", None)
    complete = manifest.model_copy(update={"files": files})
    (folder / "bundle.json").write_text(complete.model_dump_json(indent=2) + "\n")
