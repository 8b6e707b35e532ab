"""How fast one call is answered through HTTP, side by side with other ways to serve the same boosters.

``.venv/bin/python -m benchmarks.serving`` makes a bundle from simulated data (or takes ``--bundle``), starts
all servers on this machine's loopback, one worker each, measures them in turns over 8 connections, then every use
case on its documented example, and writes ``docs/benchmarks/serving.md``.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import serving_contenders as contenders
from benchmarks import serving_each, serving_pipeline
from benchmarks.serving_load import CONNECTIONS, Measured, measure, tool
from services.cli.commands.pipeline import run_stage
from services.core import use_case_registry
from services.core.bundle.manifest import bundle_hash, read_manifest
from services.core.contract.use_case import UseCase
from services.core.paths import VigiePaths
from services.core.settings import settings

REPORT = Path(__file__).resolve().parents[1] / "docs" / "benchmarks" / "serving.md"
DISTINCT_CALLS = 200
NOTES = """
What is compared, and in whose favour:

- Vigie verifies the caller's API key, reads and validates the request, computes the features, runs all boosters
  of all targets, applies calibration and business rules, warns, counts and answers. Calls that arrive at the same
  moment share one prediction (`services/prediction/api/predict_routes.py`); their answers are bit for bit those of
  single calls. The second line leaves out who calls, the third the columns, the features, the boosters and their
  calibration.
- `mlflow models serve` runs the same boosters; its pipeline is the usual one and makes fewer features. It gives
  no intervals, warnings or business rules.
- MLServer runs one of the boosters alone on a ready matrix: no fields to validate, no features to compute. Its
  default is one inference worker beside the process that speaks HTTP; without it that process infers by itself.
- Every server may use one OpenMP thread; on two cores that suits each of them better than two.

Repeat it with `.venv/bin/python -m benchmarks.serving` (about ten minutes; `--help` says the rest). MLServer is
installed from the package index into an environment of its own below `VIGIE_HOME/benchmarks`. `wrk` comes with
most distributions; without it an asyncio client is used, whose own limit is near that of Vigie's third line.
"""


def main() -> None:
    arguments = _arguments()
    work = settings().home.root / "benchmarks"
    work.mkdir(parents=True, exist_ok=True)
    load = os.getloadavg()[0]
    report = _heading(arguments, load)
    if arguments.part != "each":
        report += compared(arguments, work)
    if arguments.part != "contenders":
        report += ["## Each use case", ""]
        report += serving_each.measured(
            use_case_registry.list_use_cases(),
            lambda use_case: simulated_bundle(use_case, work),
            work,
            rounds=arguments.rounds,
            seconds=arguments.seconds,
        )
        report += serving_each.NOTE.splitlines()
    text = "\n".join(report).rstrip() + "\n"
    print(text)
    if arguments.part == "all" and not arguments.vigie_only:
        REPORT.parent.mkdir(parents=True, exist_ok=True)
        REPORT.write_text(text, encoding="utf-8")


def compared(arguments: argparse.Namespace, work: Path) -> list[str]:
    """Vigie beside other ways to serve the same boosters, on one use case."""
    use_case = use_case_registry.get(arguments.use_case)
    bundle = Path(arguments.bundle) if arguments.bundle else simulated_bundle(use_case, work)
    calls = serving_pipeline.rows(use_case, bundle, DISTINCT_CALLS)
    bodies = contenders.bodies_of(calls)
    field = [
        contenders.vigie(use_case, bundle, work, bodies),
        contenders.vigie(use_case, bundle, work, bodies, unguarded=True),
        contenders.vigie(use_case, bundle, work, bodies, constant=True),
    ]
    if not arguments.vigie_only:
        field.append(contenders.mlflow_serve(use_case, bundle, work, calls))
        field += [contenders.mlserver(bundle, work, workers=workers) for workers in (1, 0)]
    measured: dict[str, list[Measured]] = {one.name: [] for one in field}
    with ExitStack() as stack:
        for one in field:
            print(f"starting {one.name}")
            stack.enter_context(contenders.running(one, work / "logs"))
            measure(one.url, one.bodies, 1, one.headers)
        for number in range(arguments.rounds):
            for one in field:
                found = measure(one.url, one.bodies, arguments.seconds, one.headers)
                measured[one.name].append(found)
                latency = f"p50 {found.p50:7.2f}  p99 {found.p99:7.2f} ms"
                print(f"round {number + 1}: {one.name:36s} {found.rate:8.0f}/s  {latency}")
    return [*_table(field, measured, use_case, bundle), *NOTES.splitlines(), ""]


def simulated_bundle(use_case: UseCase, work: Path) -> Path:
    """Train on simulated files, as ``./vigie run`` does, in a home of the benchmark's own."""
    print(f"training {use_case.name} on simulated data")
    state = run_stage(VigiePaths(work / "home"), use_case.name, "train", source="simulator")
    return state / "models" / use_case.name / "bundle"


def _heading(arguments: argparse.Namespace, load: float) -> list[str]:
    machine = f"{os.cpu_count()} cores ({platform.machine()}, Python {platform.python_version()})"
    rounds = f"{arguments.rounds} rounds of {arguments.seconds:g} s in turns; medians over the rounds"
    return [
        "# How fast one call is answered",
        "",
        f"Measured {datetime.now(UTC):%Y-%m-%d} on {machine} with `{tool()}`: one worker each,",
        f"{CONNECTIONS} connections, loopback, {rounds}, ratios within each round.",
        f"Other work on the machine when it began (load average): {load:.1f}.",
        "",
    ]


def _table(
    field: Sequence[contenders.Contender], measured: dict[str, list[Measured]], use_case: UseCase, bundle: Path
) -> list[str]:
    def median(name: str, value: str) -> float:
        return statistics.median(getattr(one, value) for one in measured[name])

    def times(name: str) -> float:
        """Vigie's rate over the other's, round by round: what else the machine does meets both."""
        return statistics.median(a.rate / b.rate for a, b in zip(measured["vigie"], measured[name], strict=True))

    version = bundle_hash(read_manifest(bundle))[:12]
    lines = [
        "## Beside other servers",
        "",
        f"{DISTINCT_CALLS} different calls of `{use_case.name}`, bundle `{version}`.",
        "",
        "| server | what it answers | requests/s | p50 ms | p99 ms | errors | vigie is |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for one in field:
        rate = median(one.name, "rate")
        factor = times(one.name)
        told = "" if one.name == "vigie" else f"{factor:.0%}" if factor < 1 else f"{factor:.1f} times"
        errors = sum(found.errors for found in measured[one.name])
        p50, p99 = median(one.name, "p50"), median(one.name, "p99")
        lines.append(f"| {one.name} | {one.what} | {rate:,.0f} | {p50:.2f} | {p99:.2f} | {errors} | {told} |")
    return lines


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__)
    parser.add_argument("--use-case", default="fire_response", choices=use_case_registry.names())
    parser.add_argument("--bundle", help="folder of a bundle; without it one is trained on simulated data")
    parser.add_argument("--part", default="all", choices=("all", "contenders", "each"), help="one table alone")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--vigie-only", action="store_true", help="leave the other servers out and write nothing")
    return parser.parse_args()


if __name__ == "__main__":
    main()
