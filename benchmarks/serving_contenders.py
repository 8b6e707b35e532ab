"""The servers that are compared: how each is made ready, started and asked."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd

from benchmarks import serving_pipeline
from benchmarks.serving_vigie import KEY
from services.core.bundle.manifest import read_manifest
from services.core.contract.use_case import UseCase
from services.core.headers import API_KEY_HEADER

CHECKOUT = Path(__file__).resolve().parents[1]
START_SECONDS = 120.0


@dataclass(frozen=True)
class Contender:
    name: str
    what: str
    """One sentence for the report."""
    command: list[str]
    health: str
    url: str
    bodies: Sequence[str]
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    """Sent with every request."""


def vigie(
    use_case: UseCase,
    bundle: Path,
    work: Path,
    bodies: Sequence[str],
    *,
    constant: bool = False,
    unguarded: bool = False,
) -> Contender:
    """``unguarded``: it asks nobody who calls, which shows what asking costs."""
    port = free_port()
    name = "vigie" + (", features and model taken out" if constant else ", open to everybody" if unguarded else "")
    what = "the same route answering with constant values" if constant else "POST predict, all targets"
    home = work / ("constant" if constant else "open" if unguarded else "vigie")
    arguments = [use_case.name, str(bundle), str(home), str(port)]
    arguments += ["--constant"] * constant + ["--open"] * unguarded
    return Contender(
        name=name,
        what=what + ("; nobody is asked who calls" if unguarded else ", with an API key"),
        command=[sys.executable, "-m", "benchmarks.serving_vigie", *arguments],
        health=f"http://127.0.0.1:{port}/v1/{use_case.name}",
        url=f"http://127.0.0.1:{port}/v1/{use_case.name}/predict",
        bodies=bodies,
        folder=CHECKOUT,
        headers={} if unguarded else {API_KEY_HEADER: KEY},
    )


def bodies_of(calls: pd.DataFrame) -> list[str]:
    """Requests of the prediction service."""
    return [json.dumps(_present(row)) for row in calls.to_dict("records")]


def mlflow_serve(use_case: UseCase, bundle: Path, work: Path, calls: pd.DataFrame) -> Contender:
    port, model = free_port(), work / "mlflow-model"
    shutil.rmtree(model, ignore_errors=True)
    serving_pipeline.save(use_case, bundle, model)
    bodies = [json.dumps({"dataframe_records": [_present(row, none=True)]}) for row in calls.to_dict("records")]
    serve = ["models", "serve", "-m", str(model), "-p", str(port), "--env-manager", "local", "--workers", "1"]
    return Contender(
        name="mlflow models serve",
        what="the same boosters behind a scikit-learn pipeline (one-hot, ordinals) on a DataFrame",
        command=[sys.executable, "-m", "mlflow", *serve],
        health=f"http://127.0.0.1:{port}/ping",
        url=f"http://127.0.0.1:{port}/invocations",
        bodies=bodies,
        folder=work,
        environment={"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "1"},
    )


def mlserver(bundle: Path, work: Path, *, workers: int) -> Contender:
    """MLServer gets the easiest work: one booster alone and a ready matrix. Its default is one inference
    worker beside the server's process; with none the server's own process does the inference."""
    port, folder = free_port(), work / f"mlserver-model-{workers}"
    folder.mkdir(parents=True, exist_ok=True)
    target, item = next(iter(read_manifest(bundle).targets.items()))
    shutil.copy(bundle / "targets" / target / f"{item.members[0]}.ubj", folder / "model.ubj")
    settings = {"host": "127.0.0.1", "http_port": port, "grpc_port": free_port(), "metrics_port": free_port()}
    (folder / "settings.json").write_text(json.dumps({**settings, "parallel_workers": workers, "debug": False}))
    model = {"name": "forest", "implementation": "mlserver_xgboost.XGBoostModel", "parameters": {"uri": "./model.ubj"}}
    (folder / "model-settings.json").write_text(json.dumps(model))
    generator = np.random.default_rng(0)
    width = len(item.features)
    bodies = [
        json.dumps({"inputs": [{"name": "x", "shape": [1, width], "datatype": "FP32", "data": row.tolist()}]})
        for row in generator.random((200, width)).round(4)
    ]
    return Contender(
        name="MLServer" if workers else "MLServer, no inference worker",
        what="XGBoost runtime, one booster alone, fed a bare array",
        command=[str(mlserver_environment(work) / "bin" / "mlserver"), "start", "."],
        health=f"http://127.0.0.1:{port}/v2/models/forest/ready",
        url=f"http://127.0.0.1:{port}/v2/models/forest/infer",
        bodies=bodies,
        folder=folder,
    )


def mlserver_environment(work: Path) -> Path:
    """A virtual environment of its own: MLServer wants other versions than Vigie."""
    environment, here = work / "mlserver-environment", Path(__file__).parent
    wanted = (here / "requirements-mlserver.txt").read_text()
    done = environment / "installed.txt"
    if not done.is_file() or done.read_text() != wanted:
        uv = [sys.executable, "-m", "uv"]
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        subprocess.run([*uv, "venv", "--quiet", "--clear", "--python", python, str(environment)], check=True)
        install = ["pip", "install", "--quiet", "--no-config", "--python", str(environment / "bin" / "python")]
        files = ["-r", str(here / "requirements-mlserver.txt"), "--overrides", str(here / "overrides-mlserver.txt")]
        subprocess.run([*uv, *install, *files], check=True, timeout=600)
        done.write_text(wanted)
    return environment


@contextmanager
def running(contender: Contender, logs: Path) -> Iterator[None]:
    """Start the server and wait until it answers a real request; end it afterwards."""
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / f"{contender.name.replace(' ', '-').replace(',', '')}.log"
    # One thread each: on two cores OpenMP's threads wait for each other more than they compute.
    paths = {"PYTHONPATH": str(CHECKOUT), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    environment = {**os.environ, **paths, "OMP_NUM_THREADS": "1", **contender.environment}
    with log.open("wb") as stream:
        process = subprocess.Popen(
            contender.command,
            cwd=contender.folder,
            env=environment,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
        try:
            _wait(contender, process, log)
            yield
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)
                process.wait(20)


def _wait(contender: Contender, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    headers = {"Content-Type": "application/json", **contender.headers}
    while True:
        if process.poll() is not None or time.monotonic() > until:
            raise SystemExit(f"{contender.name} did not start. The end of its log:\n{log.read_text()[-3_000:]}")
        try:
            answer = httpx.get(contender.health, headers=contender.headers, timeout=5)
            started = answer.status_code == 200
            if started and contender.name.startswith("vigie"):
                # Measured once the champion serves and what explanations need is loaded.
                started = answer.json()["importance"] is not None
        except httpx.HTTPError:
            started = False
        if started:
            break
        time.sleep(0.3)
    for body in contender.bodies[:3]:
        answer = httpx.post(contender.url, content=body, headers=headers, timeout=30)
        if answer.status_code != 200:
            raise SystemExit(f"{contender.name} refused a request: {answer.status_code} {answer.text[:500]}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _present(row: Mapping[Hashable, Any], *, none: bool = False) -> dict[Hashable, Any]:
    """The fields that are there, whole numbers without a fraction."""
    found: dict[Hashable, Any] = {}
    for name, value in row.items():
        missing = value is None or value != value  # noqa: PLR0124 - NaN differs from itself
        if missing and not none:
            continue
        found[name] = None if missing else value
    return found
