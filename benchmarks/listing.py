"""How long the lists take that the dashboard draws first, with many stored predictions: medians and worst of repeated
pages, by filter, on SQLite and (where it is installed) PostgreSQL.

    python -m benchmarks.listing [ROWS]
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, insert, text

from services.core.database.connection import make_engine
from services.core.database.migrate import upgrade
from services.core.prediction_log.queries import PredictionFilters, list_predictions
from services.core.prediction_log.tables import OutcomeRow, PredictionRow
from tests import postgres

ROWS, PAGE, REPEATS = 100_000, 50, 15
USE_CASE, CENTRES = "fire_response", ("north", "south", "east")
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
REQUEST = {
    "incident_group": "Fire",
    "easting": 530_000.0,
    "northing": 180_000.0,
    "borough": "CAMDEN",
    "note": "x" * 120,
}
ANSWER = {"attendance_seconds": {"value": 312.0, "lower": 190.0, "upper": 520.0}, "over_360s_probability": 0.31}

LISTS: dict[str, dict[str, Any]] = {
    "newest": {},
    "own centre": {"centres": frozenset({"north"})},
    "two centres": {"centres": frozenset({"north", "south"})},
    "at risk": {"centres": frozenset({"north"}), "risk": True},
    "exercises": {"kind": "exercise"},
    "baseline (rare)": {"source": "baseline"},
    "without outcome": {"centres": frozenset({"north"}), "has_outcome": False},
    "with outcome (rare)": {"centres": frozenset({"north"}), "has_outcome": True},
    "last hour": {"since": NOW - timedelta(hours=1)},
}


def main(rows: int) -> None:
    print(f"{rows:,} predictions, pages of {PAGE}, milliseconds: median (worst) of {REPEATS}")
    found = {kind: measured(engine, rows) for kind, engine in databases()}
    for name in LISTS:
        figures = "   ".join(f"{kind} {values[name]}" for kind, values in found.items())
        print(f"{name:>22}   {figures}")


def databases() -> Iterator[tuple[str, Engine]]:
    with tempfile.TemporaryDirectory() as folder:
        yield from opened("SQLite", f"sqlite:///{Path(folder) / 'calls.db'}")
    if postgres.programs() is not None:
        with postgres.server() as server, postgres.database(server) as address:
            yield from opened("PostgreSQL", address)


def opened(kind: str, address: str) -> Iterator[tuple[str, Engine]]:
    engine = make_engine(address)
    upgrade(engine)
    yield kind, engine
    engine.dispose()


def measured(engine: Engine, rows: int) -> dict[str, str]:
    fill(engine, rows)
    figures = {}
    for name, wanted in LISTS.items():
        filters = PredictionFilters(**({"use_case": USE_CASE, "centres": None} | wanted))
        with engine.connect() as connection:
            list_predictions(connection, filters, PAGE)
            took: list[float] = []
            for _ in range(REPEATS):
                with clocked(took):
                    list_predictions(connection, filters, PAGE)
        figures[name] = f"{statistics.median(took):7.1f} ({max(took):.1f})"
    return figures


@contextmanager
def clocked(took: list[float]) -> Iterator[None]:
    started = time.perf_counter()
    yield
    took.append((time.perf_counter() - started) * 1_000)


def fill(engine: Engine, rows: int) -> None:
    """Calls of a month, one in fifty with an outcome, one in a thousand by the baseline."""
    chance = random.Random(7)
    with engine.begin() as connection:
        for start in range(0, rows, 5_000):
            made = [prediction(number, rows, chance) for number in range(start, min(start + 5_000, rows))]
            connection.execute(insert(PredictionRow), made)
            connection.execute(insert(OutcomeRow), [outcome(row, chance) for row in made if chance.random() < 0.02])
        connection.execute(text("ANALYZE"))


def prediction(number: int, rows: int, chance: random.Random) -> dict[str, Any]:
    return {
        "id": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
        "use_case": USE_CASE,
        "centre": chance.choice(CENTRES),
        "caller_kind": "key",
        "caller_id": "desk",
        "request_id": f"r{number}",
        "row_index": 0,
        "incident_id": f"i{number // 2}",
        "received_at": NOW - timedelta(days=30) * (1 - number / rows),
        "latency_us": 900,
        "model_version": "3",
        "source": "baseline" if chance.random() < 0.001 else "champion",
        "simulated": False,
        "risk": chance.random() < 0.05,
        "pseudonymised": False,
        "request": REQUEST,
        "answer": ANSWER,
        "decisions": {},
        "warnings": [],
        "kind": "exercise" if chance.random() < 0.01 else "live",
    }


def outcome(row: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    return {
        "id": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
        "use_case": USE_CASE,
        "centre": row["centre"],
        "caller_kind": "key",
        "caller_id": "desk",
        "prediction_id": row["id"],
        "received_at": row["received_at"] + timedelta(hours=1),
        "labels": {"attendance_seconds": 300.0},
        "simulated": False,
        "kind": row["kind"],
    }


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ROWS)
