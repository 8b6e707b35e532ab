"""``./vigie demo``: the main job from start to finish, on data made for it or on real files."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Set
from contextlib import contextmanager
from typing import Annotated, Any

import httpx
import typer

from services.cli.arguments import Source
from services.cli.console import err, out, step
from services.cli.models import example_payload
from services.cli.pipeline import run_chain
from services.cli.processes import wait_until
from services.cli.programs import free_port
from services.cli.starting import answers
from services.core.errors import VigieError
from services.core.home import Home
from services.core.settings import CHECKOUT, settings
from services.core.usecases import registry as use_cases


def demo(
    source: Source = "simulator",
    keep: Annotated[bool, typer.Option("--keep", help="Keep the demo's home to look at.")] = False,
) -> None:
    """Train, gate, serve and call every use case; nothing is left running."""
    started = time.perf_counter()
    home = Home(settings().home.root / "demo")
    shutil.rmtree(home.root, ignore_errors=True)
    data = "simulated data" if source == "simulator" else f"data from {source}"
    out.print(f"[bold]Vigie demo[/]: from raw files to answered calls, on {data}. Everything below {home.root}.\n")
    try:
        promoted = set()
        for name in use_cases.names():
            if run_chain(home, name, source)["promoted"]:
                promoted.add(name)
            out.print()
        with _prediction(home, promoted) as address:
            for name in use_cases.names():
                _call(address, name)
            _wrong_call(address, use_cases.names()[0])
    finally:
        if not keep:
            shutil.rmtree(home.root, ignore_errors=True)
    out.print(f"[bold green]Done[/] in {time.perf_counter() - started:.0f} s; nothing is left running.")
    out.print("Next: ./vigie run USE_CASE --source DIR trains on your files, ./vigie up serves them.")


@contextmanager
def _prediction(home: Home, promoted: Set[str]) -> Iterator[str]:
    """The prediction service on a free port, following this home's registry, until the end."""
    port = free_port(settings().prediction_port)
    address = f"http://127.0.0.1:{port}"
    home.logs.mkdir(parents=True, exist_ok=True)
    log = home.logs / "prediction.log"
    # No gateway runs here that knows who may call: everybody on this machine may.
    environment = {
        **os.environ,
        "VIGIE_HOME": str(home.root),
        "VIGIE_PREDICTION_PORT": str(port),
        "VIGIE_PREDICTION_HOST": "127.0.0.1",
        "VIGIE_PREDICTION_ACCESS": "open",
    }
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.prediction"],
            cwd=CHECKOUT,
            env=environment,
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
        try:
            with step(f"prediction service at {address} serves the champions"):
                if not wait_until(lambda: _serves(address, promoted), seconds=180):
                    tail = "\n".join(log.read_text(errors="replace").splitlines()[-10:])
                    raise VigieError(
                        f"The prediction service did not serve the champions within three minutes:\n{tail}"
                    )
            yield address
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _serves(address: str, promoted: Set[str]) -> bool:
    """Whether every promoted use case is answered by its champion."""
    if not answers(f"{address}/health/ready"):
        return False
    served = {item["name"]: item["source"] for item in httpx.get(f"{address}/v1/use-cases", timeout=5).json()}
    return all(served[name] == "champion" for name in promoted)


def _call(address: str, use_case: str) -> None:
    payload = example_payload(use_case)
    _show(address, f"/v1/{use_case}/predict", payload)


def _wrong_call(address: str, use_case: str) -> None:
    """What a caller reads who sends nonsense."""
    payload = {**example_payload(use_case), next(iter(example_payload(use_case))): "not what was asked for"}
    _show(address, f"/v1/{use_case}/predict", payload, expected=422)


def _show(address: str, path: str, payload: dict[str, Any], *, expected: int = 200) -> None:
    body = json.dumps(payload, ensure_ascii=False)
    out.print(f"[bold]POST {path}[/]")
    out.print(f"  {body}", markup=False)
    begun = time.perf_counter()
    answer = httpx.post(f"{address}{path}", json=payload, timeout=10)
    milliseconds = (time.perf_counter() - begun) * 1_000
    out.print(f"[bold]{answer.status_code}[/] [dim]in {milliseconds:.1f} ms with its connection[/]")
    out.print_json(answer.text, indent=2)
    out.print()
    if answer.status_code != expected:
        err.print(answer.text, markup=False)
        raise VigieError(f"{path} answered {answer.status_code}.", expected=str(expected))
