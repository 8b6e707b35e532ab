"""Files of ``services/`` that a predict call, a CSV row on its way to a feature vector and a promotion pass through.

``python -m benchmarks.code_paths`` traces each by ``sys.setprofile`` and prints the files that a Python call enters, in
order. Toy use case, open access. What the interpreter runs on import does not count, nor what runs before (services and
stages are warm) or after (a promotion ends with the swap; the explainer is loaded once the model serves). Files of
Python: the template of the printed pages is none. ``docs/architecture.md`` has the figures."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import httpx

from services.core.bundle.manifest import save_arrays
from services.core.model_registry.client import ModelRegistry
from services.core.params import Evaluate, Gate, Ingest, Preprocess
from services.core.paths import VigiePaths
from services.core.settings import Settings
from services.ingestion.sources.acquire import acquire
from services.ingestion.stage.ingest import ingest
from services.prediction.app import create_app
from services.prediction.inference.served_model import ModelSlot
from services.prediction.settings import PredictionSettings
from services.preprocessing.stage.preprocess import preprocess
from services.training.evaluation.evaluate import evaluate
from services.training.promotion import gate_and_register, promote_if_allowed
from services.training.stage.training_data import prepare_training_data
from services.training.stage.workspace import Workspace, read_inputs
from tests.toy import simulator
from tests.toy.bundles import make_examples, make_toy_bundle
from tests.toy.declaration import USE_CASE
from tests.toy.declared import toy_declared
from tests.toy.folder_registry import FolderRegistry

SERVICES = str(Path(__file__).resolve().parents[1] / "services") + "/"
LIMITS = {"predict call": 18, "CSV row": 28, "promotion": 22}
"""Most files that each should pass through."""
CALL = {"called_at": "2024-01-05T10:00:00Z", "distance": 3.2, "kind": "parcel", "town": "east"}
_LOCK = """schema: '2.0'
stages: {train@toy: {cmd: x, params: {params.yaml: {train: {folds: 2}}}}}
"""


@contextmanager
def tracing(last: CodeType | None = None) -> Iterator[list[str]]:
    """A list that fills with the files whose functions are called within, in the order of their first call.

    Args:
        last: The function with whose call the trace ends.
    """
    files: list[str] = []
    seen: set[str] = set()
    ended = False

    def on_event(frame: FrameType, event: str, _: object) -> None:
        nonlocal ended
        code = frame.f_code
        if ended or event != "call" or not code.co_filename.startswith(SERVICES) or _on_import(frame):
            return
        if code.co_filename not in seen and code.co_filename.endswith(".py"):
            seen.add(code.co_filename)
            files.append(code.co_filename.removeprefix(SERVICES))
        ended = code is last

    threading.setprofile(on_event)
    sys.setprofile(on_event)
    try:
        yield files
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


def _on_import(frame: FrameType | None) -> bool:
    """Whether the interpreter is importing a module: it runs the module's code, or asks the finder of old names."""
    while frame is not None and frame.f_code.co_filename.startswith((SERVICES, "<frozen importlib")):
        if frame.f_code.co_name == "<module>" or not frame.f_code.co_filename.startswith(SERVICES):
            return True
        frame = frame.f_back
    return False


def predict_call(folder: Path) -> list[str]:
    """One answered and recorded call."""
    registry = FolderRegistry()
    registry.promote(USE_CASE.name, 1, make_toy_bundle(folder / "bundle", rows=600))
    given: dict[str, Any] = {"VIGIE_HOME": folder / "home", "prediction_access": "open"}
    app = create_app(PredictionSettings.model_validate(given), lambda: registry, use_cases=[USE_CASE])
    app.state.deployments[USE_CASE.name].follower.poll()

    async def twice() -> list[str]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://vigie") as client:
            await client.post("/v1/toy/predict", json=CALL)
            with tracing() as files:
                answer = await client.post("/v1/toy/predict", json=CALL)
        assert answer.json()["source"] == "champion", answer.text
        return files

    return asyncio.run(twice())


def csv_row(folder: Path) -> list[str]:
    """A CSV file in a folder to feature vectors, through the functions of the stages."""

    def stages(root: Path) -> None:
        (root / "files").mkdir(parents=True)
        simulator.write(root / "files", seed=1, rows=300, start="2024-01-01", days=60)
        acquire("toy", str(root / "files"), root / "data" / "toy" / "landing", home=VigiePaths(root / "home"))
        ingest("toy", root, Ingest())
        preprocess("toy", root, Preprocess())
        inputs = read_inputs(Workspace(root, "toy"))
        data, features = prepare_training_data(USE_CASE, inputs.examples), USE_CASE.features
        fitted = features.prepare(features.fit(data.columns, data.labels, inputs.reference, inputs.context))
        features.features(data.columns, fitted, inputs.context)

    with toy_declared():
        stages(folder / "once")
        with tracing() as files:
            stages(folder / "traced")
    return files


def promotion(folder: Path) -> list[str]:
    """A candidate that is registered, judged and promoted, to the swap in prediction."""
    home, examples, state = VigiePaths(folder / "home"), make_examples(1_500), folder / "state"
    models, prepared = state / "models" / "toy", state / "data" / "toy" / "examples"
    prepared.mkdir(parents=True)
    save_arrays(prepared / "context.npz", {})
    bundle = make_toy_bundle(models / "bundle", examples=examples)
    evaluate(USE_CASE, examples, {}, bundle=bundle, params=Evaluate(), folder=models / "evaluation")
    (state / "dvc.lock").write_text(_LOCK)
    home.current("toy").parent.mkdir(parents=True)
    home.current("toy").symlink_to(state)
    registry = ModelRegistry(Settings().model_copy(update={"home_path": home.root, "registry_url": None}))
    registry.prepare()
    given: dict[str, Any] = {"VIGIE_HOME": home.root, "prediction_access": "open"}
    with toy_declared():
        app = create_app(PredictionSettings.model_validate(given), lambda: registry, use_cases=[USE_CASE])
        deployment = app.state.deployments["toy"]
        deployment.follower.poll()
        with tracing(ModelSlot.swap.__code__) as files:
            version, decision = gate_and_register(home, "toy", gate=Gate(), registry=registry)
            assert promote_if_allowed(home, "toy", version, decision, by=None, registry=registry), decision
            deployment.follower.poll()
        assert deployment.slot.serving.version == str(version.number)
    return files


PATHS: dict[str, Callable[[Path], list[str]]] = {
    "predict call": predict_call,
    "CSV row": csv_row,
    "promotion": promotion,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=PATHS, help="one of the three")
    only = parser.parse_args().only
    for name in [only] if only else PATHS:
        with tempfile.TemporaryDirectory() as folder:
            files = PATHS[name](Path(folder))
        print(f"{name}: {len(files)} files (at most {LIMITS[name]})")
        print(*(f"  {file}" for file in files), sep="\n")


if __name__ == "__main__":
    main()
