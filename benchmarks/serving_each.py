"""How fast each use case answers one call through HTTP: its documented example, with an API key, alone on one
connection and over eight. All servers are started, then measured in turns, on bundles made from simulated data."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks import serving_contenders as contenders
from benchmarks.serving_load import CONNECTIONS, Measured, measure
from services.core.bundle.manifest import read_manifest
from services.core.contract.use_case import UseCase, example_request

HEADER = (
    "| use case | request | models and columns | one connection: p50 ms | p99 ms "
    f"| {CONNECTIONS} connections: requests/s | p50 ms | p99 ms | errors |"
)
NOTE = f"""
One server of its own for each use case, one worker, started together and measured in turns. The request is the
example that the API's documentation shows, sent again and again: what a caller's server sees between sending and
having the answer. Answered are all targets, with validation, features, intervals, warnings and business rules. With
{CONNECTIONS} connections, calls that arrive together share one prediction.
`.venv/bin/python -m benchmarks.serving --part each` repeats this table alone.
"""


def measured(
    use_cases: Sequence[UseCase],
    bundle_of: Callable[[UseCase], Path],
    work: Path,
    *,
    rounds: int,
    seconds: float,
) -> list[str]:
    """The table's lines."""
    field: dict[str, contenders.Contender] = {}
    alone: dict[str, list[Measured]] = {use_case.name: [] for use_case in use_cases}
    together: dict[str, list[Measured]] = {use_case.name: [] for use_case in use_cases}
    bundles: dict[str, Path] = {}
    for use_case in use_cases:
        bundles[use_case.name] = bundle_of(use_case)
        home = work / "each" / use_case.name
        body = json.dumps(example_request(use_case.serving.request))
        field[use_case.name] = contenders.vigie(use_case, bundles[use_case.name], home, [body])
    with ExitStack() as stack:
        for name, one in field.items():
            print(f"starting {name}")
            stack.enter_context(contenders.running(one, work / "logs" / name))
            measure(one.url, one.bodies, 1, one.headers)
        for number in range(rounds):
            for name, one in field.items():
                alone[name].append(measure(one.url, one.bodies, seconds, one.headers, connections=1))
                together[name].append(measure(one.url, one.bodies, seconds, one.headers))
                print(
                    f"round {number + 1}: {name:20s} alone p50 {alone[name][-1].p50:6.2f} ms, "
                    f"together {together[name][-1].rate:7.0f}/s"
                )
    lines = [HEADER, "|---|---|---|" + "---:|" * 6]
    for use_case in use_cases:
        name = use_case.name
        size = len(field[name].bodies[0])
        lines.append(
            f"| `{name}` | {size:,} bytes | {_inside(bundles[name])} | "
            + " | ".join(_row(alone[name], together[name]).values())
            + " |"
        )
    return lines


def _row(alone: Sequence[Measured], together: Sequence[Measured]) -> Mapping[str, str]:
    def median(of: Sequence[Measured], value: str) -> float:
        return statistics.median(getattr(one, value) for one in of)

    return {
        "alone p50": f"{median(alone, 'p50'):.2f}",
        "alone p99": f"{median(alone, 'p99'):.2f}",
        "rate": f"{median(together, 'rate'):,.0f}",
        "p50": f"{median(together, 'p50'):.2f}",
        "p99": f"{median(together, 'p99'):.2f}",
        "errors": str(sum(one.errors for one in (*alone, *together))),
    }


def _inside(bundle: Path) -> str:
    """How much is computed for one call."""
    targets = read_manifest(bundle).targets.values()
    models = sum(len([name for name in (*t.members, *t.experts, t.lower, t.upper) if name]) for t in targets)
    columns = sum({t.matrix: len(t.features) for t in targets}.values())
    return f"{models} and {columns:,}"
