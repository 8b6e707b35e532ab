"""An answer to a call leaves in one piece: a replica that is killed has answered the call or not begun to."""

from __future__ import annotations

from pathlib import Path

import httpx

from services.prediction.app import create_app
from services.prediction.settings import PredictionSettings
from tests.asgi_steps import BODY, HEAD, NEXT_STEP, Steps
from tests.integration.prediction.conftest import CALL
from tests.servers import running
from tests.toy.declaration import USE_CASE
from tests.toy.folder_registry import FolderRegistry


def test_every_kind_of_answer_is_sent_in_one_step(tmp_path: Path) -> None:
    settings = PredictionSettings.model_validate({"VIGIE_HOME": tmp_path, "prediction_access": "open"})
    steps = Steps(create_app(settings, FolderRegistry, use_cases=[USE_CASE]))
    with running(steps) as address, httpx.Client(base_url=f"{address}/v1/toy") as client:
        assert client.post("/predict", json=CALL).status_code == 200
        assert client.post("/predict", json=CALL | {"distance": "far"}).status_code == 422
        assert client.post("/predict/batch", json={"rows": [CALL] * 30}).status_code == 200
        assert client.get("/nothing").status_code == 404
    assert steps.seen == [HEAD, BODY, NEXT_STEP] * 4
