"""A swap hashes each file of a bundle once, and what is not whole is still refused."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.core.bundle.manifest import bundle_hash, read_manifest
from services.core.errors import VigieError
from services.prediction.model_sync.bundle_cache import BundleCache
from tests.hash_passes import counted


def once(bundle: Path) -> Counter[str]:
    return Counter(dict.fromkeys(read_manifest(bundle).files, 1))


def spoil(folder: Path) -> None:
    path = next(folder.rglob("*.onnx"))
    path.write_bytes(path.read_bytes()[:-1])


@pytest.fixture
def digest(toy_bundles: list[Path]) -> str:
    return bundle_hash(read_manifest(toy_bundles[0]))


def copies(bundle: Path) -> Callable[[Path], object]:
    return lambda folder: shutil.copytree(bundle, folder, dirs_exist_ok=True)


def test_a_swap_to_a_new_version_hashes_each_file_once(service: Any, toy_bundles: list[Path]) -> None:
    service.registry.promote("toy", 2, toy_bundles[1])
    with counted() as passes:
        service.poll()
    assert service.predict()["model_version"] == "2"
    assert passes == once(toy_bundles[1])


def test_a_swap_back_to_a_version_on_disk_hashes_each_file_once(service: Any, toy_bundles: list[Path]) -> None:
    service.registry.promote("toy", 2, toy_bundles[1])
    service.poll()
    service.registry.promote("toy", 1, toy_bundles[0])
    with counted() as passes:
        service.poll()
    assert service.predict()["model_version"] == "1"
    assert passes == once(toy_bundles[0])


def test_a_start_from_disk_hashes_each_file_once(
    service: Any, make_service: Callable[..., Any], toy_bundles: list[Path]
) -> None:
    again = make_service(service.registry)
    with counted() as passes:
        again.desk.follower.load_from_disk()
        again.poll()
    assert again.predict()["source"] == "champion"
    assert passes == once(toy_bundles[0])


def test_a_corrupt_download_is_refused_and_not_kept(tmp_path: Path, toy_bundles: list[Path], digest: str) -> None:
    def corrupt(folder: Path) -> None:
        copies(toy_bundles[0])(folder)
        spoil(folder)

    with pytest.raises(VigieError, match="its hash differs"):
        BundleCache(tmp_path).install(digest, corrupt)
    assert list(tmp_path.iterdir()) == []


def test_another_bundle_than_the_registered_one_is_refused_and_not_kept(
    tmp_path: Path, toy_bundles: list[Path], digest: str
) -> None:
    with pytest.raises(VigieError, match="another one than was registered"):
        BundleCache(tmp_path).install(digest, copies(toy_bundles[1]))
    assert list(tmp_path.iterdir()) == []


def test_a_corrupt_bundle_on_disk_is_replaced(tmp_path: Path, toy_bundles: list[Path], digest: str) -> None:
    store = BundleCache(tmp_path)
    spoil(store.install(digest, copies(toy_bundles[0])).folder)
    with pytest.raises(VigieError, match="its hash differs"):
        store.verified(digest)
    bundle = store.install(digest, copies(toy_bundles[0]))
    assert read_manifest(bundle.folder) == bundle.manifest


@pytest.mark.parametrize("corrupt", [False, True])
def test_what_a_faster_process_installed_is_verified_before_it_is_served(
    tmp_path: Path, toy_bundles: list[Path], digest: str, corrupt: bool
) -> None:
    store = BundleCache(tmp_path)

    def overtaken(folder: Path) -> None:
        copies(toy_bundles[0])(folder)
        copies(toy_bundles[0])(store.path(digest))
        if corrupt:
            spoil(store.path(digest))

    if corrupt:
        with pytest.raises(VigieError, match="its hash differs"):
            store.install(digest, overtaken)
    else:
        assert store.install(digest, overtaken).folder == store.path(digest)
