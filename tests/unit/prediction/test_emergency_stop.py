"""Withdrawn advice: the answers say so within two seconds, through restarts and losses, until it is lifted."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from services.core.auth.snapshot import AuthSnapshotDocument, SnapshotFile, Withdrawal
from services.core.auth.snapshot_poller import MAX_POLL_SECONDS, ApiKeyUsage, AuthSnapshotPoller
from services.core.paths import VigiePaths
from services.core.prediction_log.records import decode_record
from services.prediction.app import _withdraw
from tests.toy.declaration import USE_CASE

AT = datetime(2024, 1, 5, 10, tzinfo=UTC)
TARGETS = [target.name for target in USE_CASE.modelling.targets]


def _withdrawal(**given: Any) -> Withdrawal:
    fixed = {"id": "a" * 32, "use_case": "toy", "reason": "wrong by hours", "by": "olga", "at": AT}
    return Withdrawal.model_validate(fixed | given)


class Gateway:
    """A gateway in memory."""

    def __init__(self, *withdrawn: Withdrawal) -> None:
        self.withdrawn, self.lifted, self.down = list(withdrawn), list[str](), False

    def access_list(self) -> AuthSnapshotDocument:
        if self.down:
            raise ConnectionError("refused")
        return AuthSnapshotDocument(
            issued_at=datetime.now(UTC), jwks={"keys": []}, keys=[], withdrawn=self.withdrawn, lifted=self.lifted
        )

    def report(self, uses: Sequence[ApiKeyUsage]) -> None:
        raise AssertionError(uses)


def _follow(service: Any, gateway: Gateway, path: Path) -> AuthSnapshotPoller:
    poller = AuthSnapshotPoller(SnapshotFile(path), gateway, seconds=30)
    poller.on_withdrawn = lambda active: _withdraw(service.app.state.deployments, active)
    return poller


def _stop(service: Any, *withdrawn: Withdrawal) -> None:
    _withdraw(service.app.state.deployments, withdrawn)


def test_a_withdrawn_use_case_answers_with_the_baselines_figures_and_says_who_and_why(
    service: Any, make_service: Callable[..., Any]
) -> None:
    before = service.predict()
    baseline = USE_CASE.serving.fallback_prediction
    _stop(service, _withdrawal())
    answer = service.predict()
    assert (answer["source"], answer["model_version"], before["source"]) == ("withdrawn", "baseline", "champion")
    (warning,) = (each for each in answer["warnings"] if each["code"] == "withdrawn")
    assert "olga" in warning["message"]
    assert "wrong by hours" in warning["message"]
    assert warning["withdrawal"]["id"] == "a" * 32
    _stop(service)
    assert service.predict()["predictions"] == before["predictions"]
    assert baseline is not None
    assert all(part["withdrawn"] for part in answer["predictions"].values())
    for part in answer["predictions"].values():
        del part["withdrawn"]
    # The figures are those of a service that has no model.
    service.desk.slot.serving = type(service.desk.slot.serving)()
    assert service.predict()["predictions"] == answer["predictions"]


@pytest.mark.parametrize("path", ["predict", "predict/batch", "explain"])
def test_a_withdrawn_target_alone_has_the_baselines_figures(service: Any, path: str) -> None:
    body = {"rows": [service.call]} if path == "predict/batch" else service.call

    def answer() -> tuple[dict[str, Any], dict[str, Any]]:
        found = service.client.post(f"/v1/toy/{path}", json=body).json()
        return found, (found["answers"][0] if path == "predict/batch" else found)

    _, before = answer()
    _stop(service, _withdrawal(target=TARGETS[0]))
    envelope, after = answer()
    assert envelope["source"] == "champion"
    assert after["predictions"][TARGETS[0]]["withdrawn"] is True
    assert after["predictions"][TARGETS[0]]["value"] != before["predictions"][TARGETS[0]]["value"]
    assert {name: after["predictions"][name] for name in TARGETS[1:]} == {
        name: before["predictions"][name] for name in TARGETS[1:]
    }
    assert "withdrawn" in [warning["code"] for warning in after["warnings"]]


@pytest.mark.parametrize("path", ["predict", "predict/batch", "explain"])
def test_a_withdrawn_use_case_says_so_on_every_route(service: Any, path: str) -> None:
    _stop(service, _withdrawal())
    body = {"rows": [service.call]} if path == "predict/batch" else service.call
    found = service.client.post(f"/v1/toy/{path}", json=body).json()
    assert found["source"] == "withdrawn"
    row = found["answers"][0] if path == "predict/batch" else found
    assert all(part["withdrawn"] for part in row["predictions"].values())


def test_a_withdrawn_version_alone_is_not_answered_with(service: Any, toy_bundles: list[Path]) -> None:
    _stop(service, _withdrawal(version=2))
    assert service.predict()["source"] == "champion"
    service.registry.promote("toy", 2, toy_bundles[1])
    service.poll()
    assert service.predict()["source"] == "withdrawn"


def test_by_setting_a_withdrawn_answer_has_no_figures(
    make_service: Callable[..., Any], toy_bundles: list[Path]
) -> None:
    service = make_service(settings={"prediction_withdrawn": "none"})
    service.registry.promote("toy", 1, toy_bundles[0])
    service.poll()
    _stop(service, _withdrawal())
    answer = service.predict()
    assert (answer["source"], answer["answer"], answer["predictions"]) == ("withdrawn", None, None)
    _stop(service, _withdrawal(target=TARGETS[0]))
    answer = service.predict()
    assert answer["answer"] is None
    assert [name for name, part in answer["predictions"].items() if part is None] == [TARGETS[0]]
    schema = service.client.get("/v1/openapi.json").json()["components"]["schemas"]["ToyResponse"]
    assert {"type": "null"} in schema["properties"]["predictions"]["anyOf"]


def test_pages_and_monitors_see_what_is_withdrawn(service: Any) -> None:
    _stop(service, _withdrawal())
    (summary,) = service.client.get("/v1/use-cases").json()
    assert (summary["source"], summary["withdrawn"][0]["reason"]) == ("withdrawn", "wrong by hours")
    ready = service.client.get("/health/ready").json()
    assert (ready["degraded"], ready["use_cases"]["toy"]["source"]) == (True, "withdrawn")


def test_a_stop_of_another_use_case_changes_nothing(service: Any) -> None:
    _stop(service, _withdrawal(use_case="other"))
    assert service.predict()["source"] == "champion"


def test_every_pause_between_two_looks_is_shorter_than_two_seconds(tmp_path: Path) -> None:
    poller = AuthSnapshotPoller(SnapshotFile(tmp_path / "list.json"), Gateway(), seconds=30)
    poller.poll()
    assert MAX_POLL_SECONDS <= 1.5
    assert max(poller._pause() for _ in range(1_000)) <= 1.8


def test_one_look_withdraws_and_one_look_restores(service: Any, tmp_path: Path) -> None:
    gateway = Gateway()
    poller = _follow(service, gateway, tmp_path / "list.json")
    poller.poll()
    assert service.predict()["source"] == "champion"
    gateway.withdrawn = [_withdrawal()]
    poller.poll()
    assert service.predict()["source"] == "withdrawn"
    gateway.withdrawn, gateway.lifted = [], ["a" * 32]
    poller.poll()
    assert service.predict()["source"] == "champion"


def test_after_a_restart_without_a_gateway_it_is_still_withdrawn(
    service: Any, make_service: Callable[..., Any], toy_bundles: list[Path], tmp_path: Path
) -> None:
    gateway = Gateway(_withdrawal())
    _follow(service, gateway, tmp_path / "list.json").poll()
    gateway.down = True
    restarted = make_service()
    restarted.registry.promote("toy", 1, toy_bundles[0])
    restarted.poll()
    poller = _follow(restarted, gateway, tmp_path / "list.json")
    poller.load_from_disk()
    poller.poll()
    assert restarted.predict()["source"] == "withdrawn"


def test_a_gateway_whose_database_was_lost_lifts_nothing(service: Any, tmp_path: Path) -> None:
    gateway = Gateway(_withdrawal())
    poller = _follow(service, gateway, tmp_path / "list.json")
    poller.poll()
    gateway.withdrawn = []
    poller.poll()
    assert service.predict()["source"] == "withdrawn"
    again = _follow(service, gateway, tmp_path / "list.json")
    _stop(service)
    again.load_from_disk()
    again.poll()
    assert service.predict()["source"] == "withdrawn"
    gateway.lifted = ["a" * 32]
    again.poll()
    assert service.predict()["source"] == "champion"


def test_a_list_of_release_0_1_0_is_read_and_lifts_nothing() -> None:
    old = AuthSnapshotDocument.model_validate({"issued_at": AT, "jwks": {"keys": []}, "keys": []})
    before = Gateway(_withdrawal()).access_list()
    assert old.keeping_withdrawals_of(before).withdrawn == [_withdrawal()]


def test_the_service_itself_follows_the_list_that_it_stored(make_service: Callable[..., Any], tmp_path: Path) -> None:
    given = {"gateway_url": "http://127.0.0.1:9", "service_token": "s" * 32, "prediction_access": "required"}
    service = make_service(settings=given)
    path = VigiePaths(tmp_path / "home").access_list
    SnapshotFile(path).save(Gateway(_withdrawal()).access_list())
    service.app.state.authenticator.load_from_disk()
    assert service.desk.slot.withdrawn == (_withdrawal(),)


def test_an_answer_without_figures_is_a_record_that_can_be_stored(make_service: Callable[..., Any]) -> None:
    service = make_service(settings={"prediction_withdrawn": "none"})
    _stop(service, _withdrawal())
    response = service.predict()
    line = {
        "v": 1, "k": "prediction", "request": service.call, "response": response, "decisions": {}, "own_field": False,
        "by": ["north", "key", "k1"], "row": None, "incident": None, "us": 5, "at": AT.timestamp(),
        "pseudonymised": False,
    }  # fmt: skip
    row = decode_record(json.dumps(line).encode()).row
    assert (row["source"], row["answer"], row["predictions"]) == ("withdrawn", {}, None)
