"""Entries of services that cannot reach the gateway are stored and delivered, each once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from services.core.audit import entries as audit_outbox
from services.core.audit.entries import AuditEntry, AuditOutbox
from services.core.audit.log import AuditFilter, query_entries
from services.gateway.container import GatewayContainer
from tests.gateways import SERVICE_TOKEN

Post = Callable[..., httpx.Response]


@pytest.fixture
def outbox(tmp_path: Path) -> AuditOutbox:
    return AuditOutbox(tmp_path / "audit", "https://vigie.test", SERVICE_TOKEN, "training")


@pytest.fixture
def reach(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Whether the gateway answers."""

    def set_to(there: bool) -> None:
        def post(url: str, *, json: Any, headers: dict[str, str], timeout: float, **_: Any) -> httpx.Response:
            if not there:
                raise httpx.ConnectError("refused")
            answer = client.post(url, json=json, headers=headers)
            return httpx.Response(answer.status_code, content=answer.content, request=httpx.Request("POST", url))

        monkeypatch.setattr(httpx, "post", post)

    set_to(True)
    return set_to


def _stored(gateway: GatewayContainer) -> list[str]:
    with gateway.engine.connect() as connection:
        return [
            entry["target"] for entry in reversed(query_entries(connection, AuditFilter(action="model.promoted"), 500))
        ]


def _entry(target: str) -> AuditEntry:
    return AuditEntry(service="training", action="model.promoted", target=target)


def test_entries_wait_for_the_gateway_and_arrive_in_order(
    outbox: AuditOutbox, reach: Callable[[bool], None], gateway: GatewayContainer
) -> None:
    reach(False)
    for number in range(3):
        outbox.record(_entry(f"version {number}"))
    with pytest.raises(httpx.ConnectError):
        outbox.deliver()
    assert outbox.waiting() == 3
    reach(True)
    assert outbox.deliver() == 3
    assert outbox.waiting() == 0
    assert _stored(gateway) == ["version 0", "version 1", "version 2"]


def test_entries_outlive_the_process(
    outbox: AuditOutbox, reach: Callable[[bool], None], gateway: GatewayContainer, tmp_path: Path
) -> None:
    outbox.record(_entry("version 1"))
    AuditOutbox(tmp_path / "audit", "https://vigie.test", SERVICE_TOKEN, "training").deliver()
    assert _stored(gateway) == ["version 1"]


def test_an_entry_whose_answer_was_lost_is_stored_once(
    outbox: AuditOutbox, reach: Callable[[bool], None], gateway: GatewayContainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox.record(_entry("version 1"))
    delivering = httpx.post

    def lost(*args: Any, **more: Any) -> httpx.Response:
        delivering(*args, **more)
        raise httpx.ReadTimeout("lost")

    monkeypatch.setattr(httpx, "post", lost)
    with pytest.raises(httpx.ReadTimeout):
        outbox.deliver()
    monkeypatch.setattr(httpx, "post", delivering)
    outbox.deliver()
    assert _stored(gateway) == ["version 1"]


def test_more_than_one_batch_is_delivered(
    outbox: AuditOutbox, reach: Callable[[bool], None], gateway: GatewayContainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_outbox, "BATCH_SIZE", 2)
    for number in range(5):
        outbox.record(_entry(f"version {number}"))
    assert outbox.deliver() == 5


def test_a_damaged_file_holds_up_no_other(
    outbox: AuditOutbox, reach: Callable[[bool], None], gateway: GatewayContainer, tmp_path: Path
) -> None:
    outbox.record(_entry("version 1"))
    (tmp_path / "audit" / "0-damaged.json").write_text("{half")
    assert outbox.deliver() == 1
    assert [path.name for path in (tmp_path / "audit").iterdir()] == ["0-damaged.refused"]


def test_a_half_written_file_is_not_read(
    outbox: AuditOutbox, reach: Callable[[bool], None], gateway: GatewayContainer, tmp_path: Path
) -> None:
    (tmp_path / "audit").mkdir()
    (tmp_path / "audit" / "0-half.new").write_text("{half")
    assert outbox.deliver() == 0


def test_an_entry_that_the_gateway_does_not_understand_holds_up_no_other(
    outbox: AuditOutbox, gateway: GatewayContainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[str] = []

    def post(url: str, *, json: Any, **_: Any) -> httpx.Response:
        status = 422 if any(entry["target"] == "odd" for entry in json) else 200
        taken.extend(entry["target"] for entry in json if status == 200)
        return httpx.Response(status, request=httpx.Request("POST", url))

    monkeypatch.setattr(httpx, "post", post)
    for target in ("one", "odd", "two"):
        outbox.record(_entry(target))
    assert outbox.deliver() == 2
    assert taken == ["one", "two"]


@pytest.mark.parametrize("status", [401, 500, 503])
def test_entries_stay_where_the_gateway_answers_that_it_cannot(
    outbox: AuditOutbox, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    outbox.record(_entry("version 1"))
    answer = httpx.Response(status, request=httpx.Request("POST", "https://vigie.test"))
    monkeypatch.setattr(httpx, "post", lambda *_, **__: answer)
    with pytest.raises(httpx.HTTPStatusError):
        outbox.deliver()
    assert outbox.waiting() == 1


def test_a_secret_of_the_services_is_shown_to_the_gateway_alone(outbox: AuditOutbox, tmp_path: Path) -> None:
    outbox.record(_entry("version 1"))
    assert all(SERVICE_TOKEN not in path.read_text() for path in (tmp_path / "audit").iterdir())


def test_a_folder_in_the_place_of_an_entry_holds_up_no_other(
    outbox: AuditOutbox, reach: Callable[[bool], None], gateway: GatewayContainer, tmp_path: Path
) -> None:
    (tmp_path / "audit" / "0.json").mkdir(parents=True)
    outbox.record(_entry("version 1"))
    assert outbox.deliver() == 1
    assert outbox.waiting() == 0
    assert _stored(gateway) == ["version 1"]
