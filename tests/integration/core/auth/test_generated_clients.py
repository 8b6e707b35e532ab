"""The OpenAPI documents are whole: a generated client works against the running services, without a network."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from services.prediction.app import create_app
from services.prediction.settings import PredictionSettings
from tests.gateways import PASSWORD, SERVICE_TOKEN, make_gateway, sqlite_copy, sqlite_template
from tests.servers import running
from tests.toy.declaration import USE_CASE
from tests.toy.folder_registry import FolderRegistry

CALL: dict[str, Any] = {"called_at": "2024-01-05T10:00:00Z", "distance": 3.2, "kind": "parcel", "town": "east"}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    home = tmp_path_factory.mktemp("gateway")
    return make_gateway(home, sqlite_copy(sqlite_template(home), home))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    """Prediction with all use cases that are installed."""
    given = {"VIGIE_HOME": tmp_path_factory.mktemp("prediction"), "prediction_access": "open"}
    return create_app(PredictionSettings.model_validate(given), FolderRegistry)


@pytest.fixture
def make_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, dict[str, Any]], str]]:
    """Generates a client package from a document; a warning of the generator is a failure."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)

    def make(name: str, document: dict[str, Any]) -> str:
        source, settings = tmp_path / f"{name}.json", tmp_path / "settings.json"
        source.write_text(json.dumps(document))
        settings.write_text(json.dumps({"post_hooks": []}))
        program = [sys.executable, "-m", "openapi_python_client", "generate", "--fail-on-warning", "--meta", "none"]
        files = ["--path", str(source), "--config", str(settings), "--output-path", str(tmp_path / name)]
        done = subprocess.run([*program, *files], capture_output=True, text=True, check=False)
        output = done.stdout + done.stderr
        assert done.returncode == 0, output
        assert "warning" not in output.lower(), output
        importlib.invalidate_caches()
        return name

    yield make
    for name in set(sys.modules) - before:
        if name.startswith("made_"):
            del sys.modules[name]


def _operation(package: str, tag: str, name: str) -> Any:
    return importlib.import_module(f"{package}.api.{tag}.{name}")


def test_the_clients_generated_from_the_documents_sign_in_make_a_key_and_call_with_it(
    gateway: FastAPI, tmp_path: Path, make_client: Callable[[str, dict[str, Any]], str]
) -> None:
    with running(gateway) as gateway_url:
        sqlite_template(tmp_path)
        settings = {
            "database_url": f"sqlite:///{tmp_path / 'template.db'}",
            "VIGIE_HOME": tmp_path / "home",
            "gateway_url": gateway_url,
            "service_token": SERVICE_TOKEN,
            "prediction_disk_wait_seconds": 1,
        }
        app = create_app(PredictionSettings.model_validate(settings), FolderRegistry, use_cases=[USE_CASE])
        access = make_client("made_access", gateway.openapi())
        calls = make_client("made_calls", app.openapi())
        models = importlib.import_module(f"{access}.models")
        asked = models.TokenRequest.from_dict({"grant_type": "password", "username": "admin", "password": PASSWORD})
        with importlib.import_module(access).Client(gateway_url) as client:
            token = _operation(access, "signing_in", "issue_token").sync(client=client, body=asked)
        with importlib.import_module(access).AuthenticatedClient(gateway_url, token.access_token) as client:
            wanted = models.ApiKeyCreate(name="cad", centre="default")
            created = _operation(access, "api_keys", "create_key").sync(client=client, body=wanted)
            listed = _operation(access, "api_keys", "list_keys").sync(client=client)
        assert created.key.id in {key.id for key in listed}
        with running(app) as url, importlib.import_module(calls).AuthenticatedClient(url, created.text) as client:
            until = time.monotonic() + 20
            while app.state.authenticator.age() is None:
                assert time.monotonic() < until, "prediction did not learn who may call"
                time.sleep(0.02)
            _use(calls, client)


def _use(package: str, client: Any) -> None:
    """Predict, batch, outcomes and list, with the generated client and its types."""
    models = importlib.import_module(f"{package}.models")

    def ask(name: str, **given: Any) -> Any:
        return _operation(package, "toy", name).sync(client=client, **given)

    incident = {**CALL, "incident_id": "incident-7"}
    answer = ask("predict_toy", body=models.ToyRequest.from_dict(incident))
    assert isinstance(answer, models.ToyResponse), answer
    assert answer.predictions.seconds.unit == "s"
    many = ask("predict_toy_batch", body=models.ToyBatch.from_dict({"rows": [CALL, {**CALL, "distance": -1}]}))
    assert isinstance(many, models.ToyBatchResponse)
    assert ([row.index for row in many.answers], [row.index for row in many.errors]) == ([0], [1])
    report = models.ToyOutcome.from_dict({"incident_id": "incident-7", "labels": {"seconds": 200}})
    assert isinstance(ask("report_toy_outcomes", body=report), models.OutcomesAccepted)
    refused = models.ToyOutcome.from_dict({"incident_id": "incident-7", "labels": {"seconds": -1}})
    rejected = ask("report_toy_outcomes", body=refused)
    assert isinstance(rejected, models.OutcomesRejected)
    assert rejected.errors[0].index == 0
    until = time.monotonic() + 20
    while not (page := ask("list_toy_predictions", incident_id="incident-7")).predictions:
        assert time.monotonic() < until, page
        time.sleep(0.05)
    assert isinstance(page, models.PredictionPage)
    assert page.predictions[0].request_id == answer.request_id


def test_a_client_of_all_use_cases_is_generated_whole(
    whole: FastAPI, make_client: Callable[[str, dict[str, Any]], str], tmp_path: Path
) -> None:
    document = whole.openapi()
    package = make_client("made_whole", document)
    functions = {path.stem for path in (tmp_path / package / "api").glob("*/*.py")} - {"__init__"}
    assert functions == {operation["operationId"] for _, _, operation in _operations(document)}


@pytest.mark.parametrize("service", ["gateway", "whole"])
def test_operations_are_named_by_verb_and_noun_and_schemas_once(service: str, request: pytest.FixtureRequest) -> None:
    document = request.getfixturevalue(service).openapi()
    names = [operation["operationId"] for _, _, operation in _operations(document)]
    assert len(names) == len(set(names))
    assert not [name for name in names if not VERBS.fullmatch(name.partition("_")[0])]
    assert not [name for name in document["components"]["schemas"] if "__" in name]
    assert document["servers"] == [{"url": "/", "description": "The address from which this document was read."}]


VERBS = re.compile(
    "approve|cancel|change|check|complete|confirm|continue|count|create|describe|end|enrol|enter|explain|freeze|get|issue|lift|list|predict|"
    "preview|promote|register|reject|remove|renew|report|reset|retry|revoke|roll|rotate|sign|start|stop|verify"
)


@pytest.mark.parametrize("service", ["gateway", "whole"])
def test_every_body_has_an_example_that_is_a_request(service: str, request: pytest.FixtureRequest) -> None:
    document = request.getfixturevalue(service).openapi()
    schemas = document["components"]["schemas"]
    without = []
    for path, method, operation in _operations(document):
        content = operation.get("requestBody", {}).get("content", {})
        for media in content.values():
            schema = media.get("schema", {})
            named = [part["$ref"] for part in [schema, *schema.get("anyOf", [])] if "$ref" in part]
            declared = [schemas[name.rpartition("/")[2]] for name in named]
            if "example" not in media and "properties" not in schema and not any(map(_has_example, declared)):
                without.append(f"{method} {path}")
    assert without == []


def _has_example(schema: dict[str, Any]) -> bool:
    fields = schema.get("properties", {})
    return "examples" in schema or all("examples" in fields[name] for name in schema.get("required", []))


def test_units_are_in_the_descriptions_that_readers_see(whole: FastAPI) -> None:
    easting = whole.openapi()["components"]["schemas"]["FireCall"]["properties"]["easting"]
    assert easting["description"].endswith("Unit: m.")


def test_use_cases_are_in_their_order(whole: FastAPI) -> None:
    paths = [path for path in whole.openapi()["paths"] if path.endswith("/predict")]
    assert paths == sorted(paths)


def test_routes_between_services_leave_no_schema_behind(gateway: FastAPI) -> None:
    document = gateway.openapi()
    assert not [path for path in document["paths"] if path.startswith("/internal/")]
    assert "AuthSnapshotDocument" not in document["components"]["schemas"]


def test_a_revoked_token_is_answered_without_a_body_as_documented(gateway: FastAPI) -> None:
    responses = gateway.openapi()["paths"]["/auth/revoke"]["post"]["responses"]
    assert "content" not in responses["200"]


def test_the_statuses_of_outcomes_are_documented(whole: FastAPI) -> None:
    document = whole.openapi()
    responses = document["paths"]["/v1/fire_response/outcomes"]["post"]["responses"]
    assert set(responses) == {"202", "401", "403", "413", "415", "422", "503"}
    # What is wrong with the body as a whole has no index.
    assert "index" not in document["components"]["schemas"]["OutcomeErrorDetail"]["required"]


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, entries in document["paths"].items():
        for method, operation in entries.items():
            yield path, method, operation
