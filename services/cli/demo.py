"""``./vigie demo``: the main job from start to finish, on data made for it or on real files."""

from __future__ import annotations

import json
import shutil
import time
from typing import Annotated, Any

import typer

from services.cli import simulate
from services.cli.arguments import Source
from services.cli.console import err, out
from services.cli.demo_platform import DASHBOARD, DemoPlatform, demo_platform, show_kept
from services.cli.models import example_payload
from services.cli.pipeline import run_chains
from services.cli.processes import Processes
from services.cli.programs import HOST, Ports
from services.core.errors import VigieError
from services.core.home import Home
from services.core.settings import settings
from services.core.usecases import registry as use_cases

STORM = {"scenario": "storm", "rate": 10, "seconds": 20, "speed": 900}
"""Five simulated hours in twenty seconds, so that centres report what happened while one watches."""
ANSWERED_SHARE = 0.95
LONGEST_BODY = 2_000
"""Characters of a body that are shown: a picture has many more."""


def demo(
    source: Source = "simulator",
    keep: Annotated[bool, typer.Option("--keep", help="Leave the whole platform running to look at.")] = False,
) -> None:
    """Train, gate, serve and call every use case, and let a storm break over them."""
    started = time.perf_counter()
    home = Home(settings().home.root / "demo")
    Processes(home).stop()
    shutil.rmtree(home.root, ignore_errors=True)
    data = "simulated data" if source == "simulator" else f"data from {source}"
    out.print(f"[bold]Vigie demo[/]: from raw files to answered calls, on {data}. Everything below {home.root}.\n")
    left_running = False
    try:
        promoted = set()
        for result in run_chains(home, use_cases.names(), source):
            if result["promoted"]:
                promoted.add(result["use_case"])
            out.print()
        with demo_platform(home, promoted, keep=keep) as platform:
            for name in use_cases.names():
                _call(platform, name)
            _wrong_call(platform, use_cases.names()[0])
            _storm(home)
        left_running = keep
    finally:
        if not left_running:
            shutil.rmtree(home.root, ignore_errors=True)
    seconds = time.perf_counter() - started
    if left_running:
        out.print(f"[bold green]Done[/] in {seconds:.0f} s. The platform goes on running:\n")
        show_kept(home)
        return
    out.print(f"[bold green]Done[/] in {seconds:.0f} s; nothing is left running.")
    dashboard = f"http://{HOST}:{Ports().wanted().get(DASHBOARD, 8501)}"
    out.print(
        f"The dashboard of all this: ./vigie demo --keep leaves the platform running, with {dashboard} to look at."
    )
    out.print("Next: ./vigie run USE_CASE --source DIR trains on your files, ./vigie up serves them.")


def _storm(home: Home) -> None:
    """Twenty seconds of very many calls, and what one wants to know of them."""
    out.print(f"[bold]A storm[/]: {STORM['seconds']} s of calls from simulated control rooms, and what they report.")
    with simulate.connected(home) as client:
        told = simulate.play(client, dict(STORM), watch=True)
    out.print()
    calls = told["calls"]
    # A machine that is busy with other things may let a call wait too long; the table says so.
    if told["state"] != "finished" or calls["refused"] or calls["answered"] < ANSWERED_SHARE * calls["sent"]:
        raise VigieError(
            f"The storm ended as {told['state']}: {told['error'] or calls}",
            expected="calls that are answered",
            action=f"See the logs in {home.logs}.",
        )


def _call(platform: DemoPlatform, use_case: str) -> None:
    _show(platform, f"/v1/{use_case}/predict", example_payload(use_case))


def _wrong_call(platform: DemoPlatform, use_case: str) -> None:
    """What a caller reads who sends nonsense."""
    payload = {**example_payload(use_case), next(iter(example_payload(use_case))): "not what was asked for"}
    _show(platform, f"/v1/{use_case}/predict", payload, expected=422)


def _show(platform: DemoPlatform, path: str, payload: dict[str, Any], *, expected: int = 200) -> None:
    body = json.dumps(payload, ensure_ascii=False)
    out.print(f"[bold]POST {path}[/]")
    out.print(f"  {body if len(body) < LONGEST_BODY else body[:LONGEST_BODY] + ' …'}", markup=False)
    begun = time.perf_counter()
    answer = platform.post(path, payload)
    milliseconds = (time.perf_counter() - begun) * 1_000
    out.print(f"[bold]{answer.status_code}[/] [dim]in {milliseconds:.1f} ms with its connection[/]")
    out.print_json(answer.text, indent=2)
    out.print()
    if answer.status_code != expected:
        err.print(answer.text, markup=False)
        raise VigieError(f"{path} answered {answer.status_code}.", expected=str(expected))
