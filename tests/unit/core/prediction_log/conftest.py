"""Records, journals and an embedded database."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Engine

from services.core.database.connection import make_engine
from services.core.database.migrate import alembic_config
from services.core.headers import TrafficType
from services.core.prediction_log.records import CallOrigin, Record, encode_outcome, encode_prediction, outcome_id
from services.core.prediction_log.store import DatabaseUnavailableError, RejectedRecord
from services.prediction.log.wal import WriteAheadLog

MADE_AT = 1_767_225_600.0
"""2026-01-01T00:00:00Z."""


def call_line(
    request_id: str,
    *,
    centre: str = "north",
    caller: str = "ana",
    use_case: str = "toy",
    incident: str | None = None,
    row: int | None = None,
    at: float = MADE_AT,
    late: bool = False,
    version: str = "3",
    source: str = "champion",
    simulated: bool = False,
    call_kind: str | None = "live",
    **fields: Any,
) -> bytes:
    """A record of the toy use case as the service writes it. ``call_kind`` None: as it was before there were kinds."""
    request = {"called_at": "2026-01-01T00:00:00Z", "distance": 2.0, "kind": "letter", "town": "east", **fields}
    body = json.dumps(request).encode()
    response = {
        "request_id": request_id,
        "use_case": use_case,
        "model_version": version,
        "source": source,
        "simulated": simulated,
        "warnings": [],
        **({} if call_kind is None else {"kind": call_kind}),
        "answer": {"seconds": {"median": 300.0, "lower": 200.0, "upper": 400.0}, "late": late, "size": "small"},
    }
    return encode_prediction(
        CallOrigin(centre, "user", caller),
        incident=incident,
        own_field=False,
        row=row,
        at=at,
        latency_us=1_200,
        pseudonymised=False,
        decisions=json.dumps({"late": late}).encode(),
        request=body,
        response=json.dumps(response).encode(),
    )


def report_line(
    labels: dict[str, Any],
    *,
    centre: str = "north",
    use_case: str = "toy",
    at: float = MADE_AT + 600,
    simulated: bool = False,
    http_id: str = "",
    call_kind: TrafficType = "live",
    **reference: Any,
) -> bytes:
    item = {
        "prediction_id": None,
        "request_id": None,
        "row_index": None,
        "incident_id": None,
        **reference,
        "happened_at": None,
        "simulated": simulated,
        "labels": labels,
    }
    made = outcome_id(centre, use_case, http_id or str(at), 0, json.dumps(item).encode(), kind=call_kind)
    return encode_outcome(made, CallOrigin(centre, "user", "ana"), use_case, at, item, kind=call_kind)


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An embedded database that is up to date and empty."""
    path = tmp_path_factory.mktemp("database") / "vigie.db"
    engine = make_engine(f"sqlite:///{path}")
    for branch in ("calls", "monitoring"):
        command.upgrade(alembic_config(engine), f"{branch}@head")
    engine.dispose()
    return path


@pytest.fixture
def database(migrated: Path, tmp_path: Path) -> Path:
    path = tmp_path / "home" / "database" / "vigie.db"
    path.parent.mkdir(parents=True)
    shutil.copy2(migrated, path)
    return path


@pytest.fixture
def engine(database: Path) -> Iterator[Engine]:
    made = make_engine(f"sqlite:///{database}")
    yield made
    made.dispose()


@pytest.fixture
def make_journal(tmp_path: Path) -> Iterator[Callable[..., WriteAheadLog]]:
    opened: list[WriteAheadLog] = []

    def make(*, limit: int = 1_000_000, segment: int = 100_000) -> WriteAheadLog:
        journal = WriteAheadLog(tmp_path / "journal", limit_bytes=limit, segment_bytes=segment)
        journal.open()
        opened.append(journal)
        return journal

    yield make
    for journal in opened:
        journal.close()


class Shelf:
    """Stands in for the database: keeps records, can be away, refuses some."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.away = False
        self.refuses = ""

    def __call__(self, records: Sequence[Record]) -> list[RejectedRecord]:
        if self.away:
            raise DatabaseUnavailableError("nobody home")
        bad = [item for item in records if self.refuses and item.row["request_id"] == self.refuses]
        self.records += [item for item in records if item not in bad]
        return [RejectedRecord(item, "too strange") for item in bad]

    @property
    def request_ids(self) -> list[str]:
        return [item.row["request_id"] for item in self.records]


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()
