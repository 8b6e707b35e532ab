"""Every route between services is tried with every service's credential, and admits those that are listed here."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import anyio
import pytest
from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient
from pydantic import SecretStr, ValidationError

from services.core.audit.entries import AuditEntry, AuditOutbox
from services.core.auth.service_credentials import (
    RECEIVERS,
    SERVICES,
    STAGES,
    ServiceName,
    bind_service_token,
    derive_service_token,
    service_callers,
    service_headers,
)
from services.core.auth.snapshot_poller import GatewayAuthClient
from services.core.errors import VigieError
from services.core.jobs.client import ServiceClient, ServiceRequest
from services.core.jobs.options import JobSettings
from services.core.settings import Settings
from services.core.web.api_docs import operations
from services.core.web.authentication import REQUIRED_ROLE
from services.core.web.stage_service import create_stage_app
from services.drift.actions import GatewayClient
from services.drift.api import monitoring_router
from services.gateway.service_client import JobClient
from services.ingestion.service import IngestionSettings
from services.ingestion.service import data_router as ingestion_router
from services.preprocessing.service import PreprocessingSettings
from services.preprocessing.service import data_router as preprocessing_router
from services.simulator.app import create_app as simulator_app
from services.simulator.client import CentreKeyClient
from services.simulator.settings import SimulatorSettings
from tests.gateways import gateway_settings, make_gateway, sqlite_copy, sqlite_template
from tests.servers import running

PLATFORM_TOKEN = "the-token-that-no-service-is-given-itself"
CALLERS = service_callers(PLATFORM_TOKEN)

JOBS = ("GET /jobs", "POST /jobs", "GET /jobs/{id}", "DELETE /jobs/{id}", "POST /jobs/{id}/retry")
STAGE_ROUTES: dict[str, set[str]] = {route: {"gateway", "airflow"} for route in JOBS}
ADMITTED: dict[ServiceName, dict[str, set[str]]] = {
    "gateway": {
        "GET /internal/access-list": {"prediction"},
        "POST /internal/key-usage": {"prediction"},
        "POST /internal/audit": {"prediction", *STAGES},
        "POST /internal/alerts": {"alertmanager"},
        "POST /internal/entries": {"dashboard"},
        "POST /internal/session-tokens": {"dashboard"},
        "POST /internal/session-ends": {"dashboard"},
        "POST /internal/retrainings": {"drift"},
        "POST /internal/rollbacks": {"drift"},
        "POST /internal/simulator/keys": {"simulator", "cli"},
        "DELETE /internal/simulator/keys": {"simulator", "cli"},
    },
    "ingestion": {
        **STAGE_ROUTES,
        "GET /sources/{use_case}": {"gateway"},
        "GET /preview/{use_case}": {"gateway"},
        "GET /retention": {"gateway"},
    },
    "preprocessing": {
        **STAGE_ROUTES,
        "GET /examples/{use_case}": {"gateway"},
        "GET /examples/{use_case}/profile": {"gateway"},
    },
    "training": STAGE_ROUTES,
    "drift": {
        **STAGE_ROUTES,
        "GET /monitoring/runs/{run_id}": {"gateway"},
        "GET /monitoring/runs/{run_id}/report": {"gateway"},
        "GET /monitoring/{use_case}": {"gateway"},
        "GET /monitoring/{use_case}/runs": {"gateway"},
        "POST /monitoring/holds/{hold_id}/lift": {"gateway"},
        "POST /monitoring/holds/{hold_id}/end": {"gateway"},
    },
    "simulator": {
        "POST /simulations": {"gateway", "cli"},
        "GET /simulations": {"gateway", "cli"},
        "GET /simulations/{id}": {"gateway", "cli"},
        "DELETE /simulations/{id}": {"gateway", "cli"},
    },
}
"""Receiver -> its routes between services -> who is admitted."""


def token(service: ServiceName) -> str:
    return derive_service_token(PLATFORM_TOKEN, service)


def headers(caller: ServiceName, receiver: ServiceName) -> dict[str, str]:
    return service_headers(token(caller), caller, receiver)


def bearer(text: str, **others: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}", **others}


@pytest.fixture(scope="module")
def apps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[ServiceName, FastAPI]]:
    home = tmp_path_factory.mktemp("services")
    engine = sqlite_copy(sqlite_template(home), home)
    given = {"VIGIE_HOME": home, "service_callers": CALLERS, "database_url": engine.url.render_as_string()}

    def stage(service: ServiceName, routers: Callable[[dict[str, Any]], Sequence[APIRouter]]) -> FastAPI:
        own = given | {"service_token": token(service)}
        return create_stage_app(service, service, "nothing.runs", JobSettings.model_validate(own), routers=routers(own))

    yield {
        "gateway": make_gateway(home, engine, service_token=token("gateway"), service_callers=CALLERS),
        "ingestion": stage("ingestion", lambda own: [ingestion_router(IngestionSettings.model_validate(own))]),
        "preprocessing": stage(
            "preprocessing", lambda own: [preprocessing_router(PreprocessingSettings.model_validate(own))]
        ),
        "training": stage("training", lambda _: []),
        "drift": stage("drift", lambda own: [monitoring_router(engine, IngestionSettings.model_validate(own).home)]),
        "simulator": simulator_app(
            SimulatorSettings.model_validate(given | {"service_token": token("simulator"), "gateway_url": None})
        ),
    }
    engine.dispose()


@pytest.fixture
def clients(apps: dict[ServiceName, FastAPI]) -> dict[ServiceName, TestClient]:
    return {name: TestClient(app, raise_server_exceptions=False) for name, app in apps.items()}


def ask(client: TestClient, route: str, credential: dict[str, str]) -> int:
    method, path = route.split()
    found = re.sub(r"{[^}]+}", lambda match: "1" if match[0] == "{hold_id}" else uuid.uuid4().hex, path)
    return client.request(method, found, headers=credential, json=None if method == "GET" else {}).status_code


@pytest.mark.parametrize("receiver", ADMITTED)
def test_a_route_between_services_admits_those_that_it_is_for(
    receiver: ServiceName, apps: dict[ServiceName, FastAPI], clients: dict[ServiceName, TestClient]
) -> None:
    routes = {
        f"{method} {path}" for method, path, entry in operations(apps[receiver]) if entry[REQUIRED_ROLE] == "service"
    }
    assert routes == set(ADMITTED[receiver])
    wrong = []
    for route, admitted in ADMITTED[receiver].items():
        for caller in SERVICES:
            status = ask(clients[receiver], route, headers(caller, receiver))
            refusal = 403 if receiver in RECEIVERS[caller] else 401
            if (status in {401, 403}) != (caller not in admitted) or (caller not in admitted and status != refusal):
                wrong.append((route, caller, status))
    assert wrong == []


def test_what_one_service_was_shown_opens_no_other(clients: dict[ServiceName, TestClient]) -> None:
    """A receiver that was taken over holds its own token, and what callers showed it."""
    for taken, client in clients.items():
        shown = [bind_service_token(token(caller), taken) for caller in SERVICES if taken in RECEIVERS[caller]]
        for receiver, other in clients.items():
            if receiver != taken:
                for text in [*shown, token(taken)]:
                    assert {ask(other, route, bearer(text)) for route in ADMITTED[receiver]} == {401}
        assert {ask(client, route, bearer(token(taken))) for route in ADMITTED[taken]} == {401}


def test_neither_the_platforms_token_nor_a_hash_is_a_credential(clients: dict[ServiceName, TestClient]) -> None:
    hashes = [entry.partition("=")[2] for entry in CALLERS.split(",")]
    for receiver, client in clients.items():
        for text in (PLATFORM_TOKEN, *hashes, CALLERS, "", "x" * 43):
            assert ask(client, next(iter(ADMITTED[receiver])), bearer(text)) == 401


def test_who_calls_is_what_the_credential_says_and_not_the_header(clients: dict[ServiceName, TestClient]) -> None:
    for caller in ("dashboard", "simulator", "alertmanager"):
        own = headers(caller, "gateway")
        for claimed in SERVICES:
            assert ask(clients["gateway"], "POST /internal/audit", own | {"X-Vigie-Service": claimed}) == 403
        assert ask(clients["training"], "POST /jobs", own | {"X-Vigie-Service": "gateway"}) == 401
    answer = clients["gateway"].post("/internal/audit", json=[], headers=headers("simulator", "gateway"))
    assert answer.json()["errors"][0]["type"] == "service"


def test_an_audit_entry_is_one_of_the_service_that_delivers_it(
    clients: dict[ServiceName, TestClient], apps: dict[ServiceName, FastAPI]
) -> None:
    entry = AuditEntry(service="gateway", action="model.promoted", actor_name="admin")
    body = [entry.model_dump(mode="json")]
    assert clients["gateway"].post("/internal/audit", json=body, headers=headers("drift", "gateway")).json() == {
        "stored": 1
    }
    with apps["gateway"].state.gateway.engine.connect() as connection:
        stored = connection.exec_driver_sql(
            "SELECT service FROM audit_entries WHERE action = 'model.promoted'"
        ).scalars()
        assert list(stored) == ["drift"]


def test_a_job_is_asked_for_by_whom_the_credential_names(clients: dict[ServiceName, TestClient]) -> None:
    body = {
        "use_case": "wine_quality",
        "step": "promote",
        "options": {"version": 1},
        "idempotency_key": uuid.uuid4().hex,
    }
    own = headers("airflow", "training") | {"X-Vigie-Service": "gateway"}
    answer = clients["training"].post("/jobs", json=body, headers=own)
    assert (answer.status_code, answer.json()["requested_by"]) == (202, "airflow")
    clients["training"].delete(answer.headers["Location"], headers=own).raise_for_status()


def test_the_services_own_clients_are_admitted(apps: dict[ServiceName, FastAPI], tmp_path: Path) -> None:
    with ExitStack() as up:
        gateway = up.enter_context(running(apps["gateway"]))
        stages = {name: up.enter_context(running(apps[name])) for name in STAGES}
        simulator = up.enter_context(running(apps["simulator"]))

        outbox = AuditOutbox(tmp_path, gateway, token("training"), "training")
        outbox.record(AuditEntry(service="training", action="champion.changed", actor_name="admin"))
        assert outbox.deliver() == 1
        prediction = GatewayAuthClient(gateway, SecretStr(token("prediction")), "prediction")
        assert prediction.access_list().jwks.keys
        prediction._client.close()
        drift = GatewayClient(Settings(gateway_url=gateway, service_token=SecretStr(token("drift"))))
        with pytest.raises(VigieError, match="champion of wine_quality"):
            drift.roll_back("wine_quality", 1, "does worse")

        async def others() -> None:
            keys = CentreKeyClient(gateway, SecretStr(token("simulator")))
            made = await keys.make(["simulated-north"], 5, "ada")
            await keys.end(made)
            settings = gateway_settings(tmp_path, **{f"{name}_url": url for name, url in stages.items()})
            jobs = JobClient(settings, SecretStr(token("gateway")), apps["gateway"].state.gateway.counters)
            assert (await jobs.newest(None, None, 1))[1] == {}
            for receiver, url in (("training", stages["training"]), ("simulator", simulator)):
                path = {"training": "/jobs", "simulator": "/simulations"}[receiver]
                async with ServiceClient(receiver, url, token=SecretStr(token("gateway")), receiver=receiver) as client:
                    await client.call(ServiceRequest("GET", path))
            await jobs.close()

        anyio.run(others)


def test_a_token_shared_by_all_services_goes_on_working_without_a_list_of_callers(tmp_path: Path) -> None:
    shared = "the-token-of-release-0.1.0-for-everybody"
    app = create_stage_app(
        "training",
        "training",
        "nothing.runs",
        JobSettings(VIGIE_HOME=tmp_path, service_token=shared, database_url=None),
    )
    transport = TestClient(app, raise_server_exceptions=False)
    assert service_headers(shared, "gateway", "training")["Authorization"] == f"Bearer {shared}"
    assert ask(transport, "POST /jobs", service_headers(shared, "gateway", "training")) == 422
    assert ask(transport, "POST /jobs", bearer(token("gateway"))) == 401


@pytest.mark.parametrize("text", ["dashboard", "dashboard@gateway=" + "0" * 63, ",", "a@b=" + "0" * 64 + ",x"])
def test_a_list_of_callers_that_is_not_understood_keeps_the_service_from_starting(text: str) -> None:
    with pytest.raises(ValidationError, match=r"caller@receiver"):
        Settings(service_callers=text)


def test_an_empty_list_of_callers_for_a_receiver_admits_nobody(tmp_path: Path) -> None:
    """A receiver that is named nowhere does not go back to the token that all share."""
    settings = JobSettings(
        VIGIE_HOME=tmp_path, service_token="s" * 40, service_callers="airflow@drift=" + "0" * 64, database_url=None
    )
    app = create_stage_app("training", "training", "nothing.runs", settings)
    assert ask(TestClient(app), "POST /jobs", bearer("s" * 40)) == 401
