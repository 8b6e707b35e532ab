"""Which model answers: the champion, the last good bundle on disk, or the baseline."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.core.contract.use_case import RegressionPrediction
from tests.toy.folder_registry import FolderRegistry

Make = Callable[..., Any]


def _spoil(folder: Path) -> None:
    path = next(folder.rglob("*.onnx"))
    path.write_bytes(path.read_bytes()[:-1])


def _metric(service: Any, line: str) -> float:
    for found in service.client.get("/metrics").text.splitlines():
        if found.startswith(line + " "):
            return float(found.rpartition(" ")[2])
    return 0.0


def test_without_any_bundle_the_baseline_answers(make_service: Make) -> None:
    service = make_service()
    body = service.predict()
    assert (body["source"], body["model_version"], body["simulated"]) == ("baseline", "baseline", False)
    assert body["answer"]["seconds"]["median"] == 600.0


def test_a_new_champion_is_served_after_the_next_look(service: Any, toy_bundles: list[Path]) -> None:
    before = service.predict()
    service.registry.promote("toy", 2, toy_bundles[1])
    assert service.predict()["model_version"] == "1"
    service.poll()
    after = service.predict()
    assert (after["model_version"], after["source"]) == ("2", "champion")
    assert after["answer"] != before["answer"]


def test_a_rollback_needs_no_download(service: Any, toy_bundles: list[Path]) -> None:
    service.registry.promote("toy", 2, toy_bundles[1])
    service.poll()
    service.registry.promote("toy", 1, toy_bundles[0])
    service.poll()
    assert service.predict()["model_version"] == "1"
    assert service.registry.downloads == [1, 2]


def test_an_answer_says_champion_only_while_the_registry_confirms_it(service: Any) -> None:
    service.clock.now += 60.0
    assert service.predict()["source"] == "champion"
    service.clock.now += 0.1
    assert service.predict()["source"] == "cached"
    service.poll()
    assert service.predict()["source"] == "champion"


def test_a_silent_registry_turns_the_champion_into_a_cached_model(service: Any) -> None:
    service.registry.down = True
    for _ in range(40):
        service.clock.now += 2.0
        service.poll()
    body = service.predict()
    assert (body["source"], body["model_version"]) == ("cached", "1")
    assert _metric(service, 'vigie_registry_failures_total{use_case="toy"}') == 40
    ready = service.client.get("/health/ready")
    assert ready.status_code == 200
    assert ready.json() == {
        "status": "ready",
        "degraded": True,
        "use_cases": {"toy": {"source": "cached", "model_version": "1"}},
        "skipped_use_cases": [],
        "access": {"mode": "open", "list_age_seconds": None, "stale": False},
    }


def test_after_a_restart_without_registry_the_last_good_bundle_answers(service: Any, make_service: Make) -> None:
    expected = service.predict()["answer"]
    again = make_service()
    again.registry.down = True
    again.desk.follower.load_from_disk()
    again.poll()
    body = again.predict()
    assert (body["source"], body["model_version"], body["answer"]) == ("cached", "1", expected)
    assert again.client.get("/v1/toy").json()["metrics"] == {"seconds": {"mae": 41.5}}


def test_after_a_restart_the_champion_on_disk_is_not_downloaded_again(service: Any, make_service: Make) -> None:
    again = make_service(service.registry)
    again.desk.follower.load_from_disk()
    again.poll()
    assert again.predict()["source"] == "champion"
    assert service.registry.downloads == [1]


def test_a_corrupt_download_is_refused_and_the_old_model_stays(service: Any, toy_bundles: list[Path]) -> None:
    service.registry.promote("toy", 2, toy_bundles[1])
    service.registry.spoil = _spoil
    service.poll()
    assert service.predict()["model_version"] == "1"
    assert _metric(service, 'vigie_model_load_failures_total{origin="registry",use_case="toy"}') == 1
    kept = service.desk.slot.serving.model.folder.parent
    assert [path.name for path in kept.iterdir() if path.is_dir()] == [service.desk.slot.serving.model.hash]


def test_a_refused_bundle_is_tried_again_ever_more_seldom(service: Any, toy_bundles: list[Path]) -> None:
    service.registry.promote("toy", 2, toy_bundles[1])
    service.registry.spoil = _spoil
    for _ in range(300):
        service.poll()
        service.clock.now += 2.0
    assert 5 <= service.registry.downloads.count(2) <= 8
    service.registry.spoil = lambda _: None
    service.clock.now += 300.0
    service.poll()
    assert service.predict()["model_version"] == "2"


def test_a_refused_version_does_not_hold_back_the_next(service: Any, toy_bundles: list[Path]) -> None:
    service.registry.promote("toy", 2, toy_bundles[1])
    service.registry.spoil = _spoil
    service.poll()
    service.registry.spoil = lambda _: None
    service.registry.promote("toy", 3, toy_bundles[1])
    service.poll()
    assert service.predict()["model_version"] == "3"


def test_a_bundle_that_is_not_the_registered_one_is_refused(service: Any, toy_bundles: list[Path]) -> None:
    def swap(folder: Path) -> None:
        shutil.rmtree(folder)
        shutil.copytree(toy_bundles[0], folder)

    service.registry.promote("toy", 2, toy_bundles[1])
    service.registry.spoil = swap
    service.poll()
    assert service.predict()["model_version"] == "1"


def test_a_bundle_whose_answers_are_out_of_form_is_refused(
    service: Any, toy_bundles: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = type(service.desk.slot.serving.model)
    honest = model.predict_each

    def endless(self: Any, *arguments: Any) -> Any:
        none = RegressionPrediction(float("nan"), 0.0, 0.0)
        return [({**values, "seconds": none}, facts) for values, facts in honest(self, *arguments)]

    service.registry.promote("toy", 2, toy_bundles[1])
    monkeypatch.setattr(model, "predict_each", endless)
    service.poll()
    monkeypatch.setattr(model, "predict_each", honest)
    assert service.predict()["model_version"] == "1"


def test_a_bundle_that_rots_on_disk_is_passed_over_at_start(
    service: Any, make_service: Make, toy_bundles: list[Path]
) -> None:
    service.registry.promote("toy", 2, toy_bundles[1])
    service.poll()
    _spoil(service.desk.slot.serving.model.folder)
    again = make_service()
    again.registry.down = True
    again.desk.follower.load_from_disk()
    assert again.predict()["model_version"] == "1"
    assert _metric(again, 'vigie_model_load_failures_total{origin="disk",use_case="toy"}') == 1


def test_a_bundle_that_rots_on_disk_is_downloaded_again(service: Any, make_service: Make) -> None:
    _spoil(service.desk.slot.serving.model.folder)
    again = make_service(service.registry)
    again.desk.follower.load_from_disk()
    assert again.predict()["source"] == "baseline"
    again.poll()
    assert again.predict()["source"] == "champion"
    assert service.registry.downloads == [1, 1]


@pytest.mark.parametrize("content", ["", "{", '{"served": [{"hash": "../../x", "version": "1"}]}', "null"])
def test_a_pointer_that_cannot_be_read_is_no_reason_not_to_start(
    service: Any, make_service: Make, content: str
) -> None:
    (service.desk.slot.serving.model.folder.parent / "served.json").write_text(content)
    again = make_service(service.registry)
    again.desk.follower.load_from_disk()
    assert again.predict()["source"] == "baseline"
    again.poll()
    assert again.predict()["source"] == "champion"


def test_two_bundles_are_kept_on_disk(service: Any, toy_bundles: list[Path], tmp_path: Path) -> None:
    from tests.toy.bundles import make_toy_bundle

    third = make_toy_bundle(tmp_path / "third", rows=300, seed=3)
    for number, bundle in ((2, toy_bundles[1]), (3, third)):
        service.registry.promote("toy", number, bundle)
        service.poll()
    folder = service.desk.slot.serving.model.folder.parent
    kept = {path.name for path in folder.iterdir() if path.is_dir()}
    assert kept == {service.registry.champions["toy"].bundle_hash, _hash(toy_bundles[1])}


def _hash(bundle: Path) -> str:
    from services.core.bundle.manifest import bundle_hash, read_manifest

    return bundle_hash(read_manifest(bundle))


def test_a_disk_that_cannot_be_written_stops_no_answer(
    service: Any, toy_bundles: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("services.prediction.model_sync.bundle_cache.BundleCache.commit", full)
    service.registry.promote("toy", 2, toy_bundles[1])
    service.poll()
    assert service.predict()["model_version"] == "2"


def test_a_champion_that_is_withdrawn_is_served_on_as_cached(service: Any) -> None:
    service.registry.champions.clear()
    service.clock.now += 61.0
    service.poll()
    assert service.predict()["source"] == "cached"


def test_the_swap_is_counted_and_timed(service: Any) -> None:
    assert _metric(service, 'vigie_model_swaps_total{use_case="toy"}') == 1
    assert _metric(service, 'vigie_model_swap_seconds_count{use_case="toy"}') == 1
    assert _metric(service, 'vigie_champion_confirmed{use_case="toy"}') == 1
    assert _metric(service, 'vigie_model_age_seconds{use_case="toy"}') >= 0


def test_no_registry_client_at_all_is_an_outage_like_any_other(make_service: Make) -> None:
    registry = FolderRegistry()
    registry.by_alias = lambda *_: {}["no such table"]  # type: ignore[method-assign]
    service = make_service(registry)
    service.poll()
    assert service.predict()["source"] == "baseline"
