"""A call with a key is verified and answered without pandas, without the registry's client and without the disk."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import asyncio, json, sys
from pathlib import Path

HEAVY = ("pandas", "mlflow", "xgboost", "sklearn", "pyarrow", "scipy", "matplotlib")
for name in HEAVY:
    sys.modules[name] = None  # importing it now fails

from datetime import UTC, datetime
from services.core.auth.snapshot import AuthSnapshotDocument, ApiKeyEntry
from services.core.auth.credentials import generate_api_key
from services.core.auth.snapshot import SnapshotFile
from services.core.auth.principal import Role
from services.prediction.app import create_app
from services.prediction.settings import PredictionSettings
from tests.toy.declaration import USE_CASE
from tests.toy.folder_registry import FolderRegistry

registry = FolderRegistry()
registry.promote("toy", 1, Path(sys.argv[2]))
given = {"VIGIE_HOME": sys.argv[1], "gateway_url": "http://127.0.0.1:9", "service_token": "s" * 32}
settings = PredictionSettings.model_validate(given)
key = generate_api_key()
entry = ApiKeyEntry(id=key.id, sha256=key.sha256, name="k", role=Role.DISPATCHER, centre="north")
listed = AuthSnapshotDocument(issued_at=datetime.now(UTC), jwks={"keys": []}, keys=[entry])
SnapshotFile(settings.home.access_list).save(listed)
app = create_app(settings, lambda: registry, use_cases=[USE_CASE])
app.state.authenticator.load_from_disk()
follower = app.state.deployments["toy"].follower
app.state.calls.journal.open()  # so that recording is watched too
follower._prepare = lambda: None  # explanations need XGBoost, answers do not
follower.poll()
call = {"called_at": "2024-01-05T10:00:00Z", "distance": 3.2, "kind": "parcel", "town": "atlantis"}
watching, seen = False, []

def watch(event, arguments):
    if watching and event in {"open", "import", "os.listdir", "os.scandir", "socket.connect", "subprocess.Popen"}:
        seen.append((event, str(arguments[0])))

async def post(path, payload):
    messages, headers = [], [(b"content-type", b"application/json"), (b"x-api-key", key.text.encode())]
    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "path": path,
             "raw_path": path.encode(), "root_path": "", "scheme": "http", "query_string": b"", "headers": headers,
             "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80)}

    async def receive():
        return {"type": "http.request", "body": json.dumps(payload).encode(), "more_body": False}

    async def send(message):
        messages.append(message)

    await app(scope, receive, send)
    return json.loads(messages[1]["body"])

async def main():
    global watching
    answers = []
    for turn in range(3):
        watching = turn == 2  # everything has been used once before
        answers.append(await post("/v1/toy/predict", call))
        answers.append(await post("/v1/toy/predict/batch", {"rows": [call] * 50}))
        answers.append(await post("/v1/toy/predict", {"distance": -1}))
        SLIP
    watching = False
    return answers

sys.addaudithook(watch)
answers = asyncio.run(main())
print(json.dumps({
    "sources": [answer.get("source") for answer in answers],
    "seen": seen,
    "loaded": [name for name in HEAVY if sys.modules.get(name) is not None],
}))
"""


def _run(program: str, home: Path, bundle: Path) -> dict[str, list[str]]:
    import json

    done = subprocess.run(
        [sys.executable, "-c", program, str(home), str(bundle)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[3],
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    told: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return told


def test_answers_need_no_pandas_no_mlflow_and_no_disk(tmp_path: Path, toy_bundles: list[Path]) -> None:
    told = _run(PROGRAM.replace("SLIP", "pass"), tmp_path, toy_bundles[0])
    assert told["sources"] == ["champion", "champion", None] * 3
    assert told["loaded"] == []
    assert told["seen"] == []


@pytest.mark.parametrize("slip", ["Path(sys.argv[2], 'bundle.json').read_bytes()", "watching and __import__('wave')"])
def test_the_watch_notices_a_slip(tmp_path: Path, toy_bundles: list[Path], slip: str) -> None:
    assert _run(PROGRAM.replace("SLIP", slip), tmp_path, toy_bundles[0])["seen"]
