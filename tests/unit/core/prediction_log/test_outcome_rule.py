"""One rule says which outcome belongs to which call: lists, filters, monitoring and training rows agree on it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from services.core.contract.use_case import UseCase
from services.core.prediction_log.queries import PredictionFilters, list_predictions
from services.core.prediction_log.records import decode_record
from services.core.prediction_log.store import store_records
from services.drift.window import read_window
from tests.toy.declared import toy_declared
from tests.unit.core.prediction_log.conftest import MADE_AT, call_line, report_line
from tests.unit.core.prediction_log.test_label_export import export

MINUTE = 60.0


@pytest.fixture(autouse=True)
def toy() -> Iterator[UseCase]:
    with toy_declared() as use_case:
        yield use_case


class Everywhere:
    """What each reader of outcomes makes of the same calls and reports: town of the request -> reported seconds."""

    def __init__(self, engine: Engine, folder: Path, use_case: UseCase, *lines: bytes) -> None:
        _, frame = export(engine, folder, *lines)
        frame = frame[~frame["call_simulated"]] if len(frame) else frame
        with engine.connect() as connection:
            rows = list_predictions(connection, PredictionFilters("toy", None), 500)
            window = read_window(connection, use_case, ("live",), days=14, maximum=500, held=[])
        self.listed = {row["request"]["town"]: row["outcome"]["seconds"] for row in rows if row["outcome"]}
        self.learned = _by_town(frame)
        self.judged = _by_town(window)

    @property
    def agreed(self) -> dict[str, float]:
        assert self.listed == self.learned == self.judged
        return self.listed


def _by_town(frame: Any) -> dict[str, float]:
    known = frame[frame["seconds"].notna()] if len(frame) else frame
    return dict(zip(known["town"], known["seconds"], strict=True)) if len(known) else {}


def asked(town: str, minute: float, **fields: Any) -> bytes:
    return call_line(f"{town} {minute}", at=MADE_AT + minute * MINUTE, town=town, **fields)


def told(seconds: float | None, minute: float, **reference: Any) -> bytes:
    return report_line({"seconds": seconds}, at=MADE_AT + minute * MINUTE, **reference)


def test_what_is_asked_again_once_the_outcome_is_known_judges_nothing_and_teaches_nothing(
    engine: Engine, tmp_path: Path, toy: UseCase
) -> None:
    lines = [
        asked("first", 0, incident="I-7"),
        asked("second", 5, incident="I-7"),
        told(300.0, 20, incident_id="I-7"),
        asked("debriefing", 60, incident="I-7"),
    ]
    assert Everywhere(engine, tmp_path, toy, *lines).agreed == {"second": 300.0}


def test_a_correction_stays_with_the_prediction_whose_outcome_it_corrects(
    engine: Engine, tmp_path: Path, toy: UseCase
) -> None:
    lines = [
        asked("first", 0, incident="I-7"),
        told(300.0, 20, incident_id="I-7"),
        asked("debriefing", 60, incident="I-7"),
        told(310.0, 90, incident_id="I-7"),
        told(320.0, 95, request_id="debriefing 60"),
    ]
    assert Everywhere(engine, tmp_path, toy, *lines).agreed == {"first": 310.0}


def test_an_outcome_that_was_taken_back_is_not_known(engine: Engine, tmp_path: Path, toy: UseCase) -> None:
    lines = [
        asked("first", 0, incident="I-7"),
        told(300.0, 20, incident_id="I-7"),
        told(None, 25, incident_id="I-7"),
        asked("second", 30, incident="I-7"),
        told(450.0, 50, incident_id="I-7"),
    ]
    assert Everywhere(engine, tmp_path, toy, *lines).agreed == {"second": 450.0}


def test_an_outcome_that_was_known_before_anybody_asked_belongs_to_no_prediction(
    engine: Engine, tmp_path: Path, toy: UseCase
) -> None:
    lines = [told(300.0, 0, incident_id="I-7"), asked("debriefing", 60, incident="I-7")]
    assert Everywhere(engine, tmp_path, toy, *lines).agreed == {}


def test_two_centres_number_an_incident_alike(engine: Engine, tmp_path: Path, toy: UseCase) -> None:
    lines = [
        asked("north", 0, incident="I-7", centre="north"),
        asked("south", 1, incident="I-7", centre="south"),
        told(300.0, 20, incident_id="I-7", centre="north"),
        told(400.0, 21, incident_id="I-7", centre="south"),
    ]
    assert Everywhere(engine, tmp_path, toy, *lines).agreed == {"north": 300.0, "south": 400.0}


@pytest.mark.parametrize("how", [{"call_kind": "simulated", "simulated": True}, {"simulated": True}])
def test_a_simulated_outcome_does_not_count_for_a_live_call(
    engine: Engine, tmp_path: Path, toy: UseCase, how: dict[str, Any]
) -> None:
    lines = [
        asked("real", 0, incident="I-7"),
        told(300.0, 20, incident_id="I-7"),
        told(999.0, 30, incident_id="I-7", **how),
        asked("alone", 0, incident="I-8"),
        told(999.0, 30, incident_id="I-8", **how),
    ]
    assert Everywhere(engine, tmp_path, toy, *lines).agreed == {"real": 300.0}


def test_a_remark_about_the_answer_is_no_outcome_yet(engine: Engine, tmp_path: Path, toy: UseCase) -> None:
    remark = report_line({}, at=MADE_AT + 5 * MINUTE, incident_id="I-7", override="smoke was seen")
    lines = [
        asked("first", 0, incident="I-7"),
        remark,
        asked("second", 10, incident="I-7"),
        told(300.0, 20, incident_id="I-7"),
    ]
    assert Everywhere(engine, tmp_path, toy, *lines).agreed == {"second": 300.0}


@pytest.mark.parametrize("seed", range(4))
def test_the_lists_filter_keeps_to_the_rule(engine: Engine, seed: int) -> None:
    rnd = random.Random(seed)
    centres, incidents, kinds = ("north", "south"), (None, "I-1", "I-2", "I-3"), ("live", "simulated", "exercise")
    calls = [
        (f"r{rnd.randrange(12)}", rnd.choice(centres), rnd.choice(incidents), rnd.choice(kinds), rnd.randrange(100))
        for _ in range(40)
    ]
    lines = [
        call_line(request, centre=centre, incident=incident, call_kind=kind, at=MADE_AT + at, town=str(number))
        for number, (request, centre, incident, kind, at) in enumerate(calls)
    ]
    for number in range(40):
        request, centre, incident, kind, at = rnd.choice(calls)
        named = {"incident_id": incident} if incident and rnd.random() < 0.7 else {"request_id": request}
        labels = {"late": rnd.choice([True, False, None])}
        moment = MADE_AT + at + rnd.randrange(-30, 90)
        lines.append(
            report_line(
                labels, centre=centre, at=moment, call_kind=kind, simulated=kind == "simulated", http_id=f"{number}",
                **named,
            )
        )  # fmt: skip
    assert store_records(engine, [decode_record(line) for line in lines]) == []
    with engine.connect() as connection:

        def ids(has_outcome: bool | None) -> list[str]:
            found = list_predictions(connection, PredictionFilters("toy", None, has_outcome=has_outcome), 500)
            return [row["id"] for row in found]

        everything, with_outcome, without = ids(None), ids(True), ids(False)
        outcomes = {
            row["id"] for row in list_predictions(connection, PredictionFilters("toy", None), 500) if row["outcome"]
        }
    assert outcomes <= set(with_outcome)
    assert sorted([*with_outcome, *without]) == sorted(everything)
    assert with_outcome, "some have an outcome"
    assert without, "some have none"


def test_a_page_with_outcomes_is_full(engine: Engine) -> None:
    lines = []
    for number in range(30):
        lines.append(call_line(f"a{number}", incident=f"I-{number}", at=MADE_AT + number * 10))
        lines.append(report_line({"late": True}, incident_id=f"I-{number}", at=MADE_AT + number * 10 + 1))
        lines.append(call_line(f"b{number}", incident=f"I-{number}", at=MADE_AT + number * 10 + 2))
    store_records(engine, [decode_record(line) for line in lines])
    with engine.connect() as connection:
        for has, name in ((True, "a"), (False, "b")):
            page = list_predictions(connection, PredictionFilters("toy", None, has_outcome=has), 20)
            assert [row["request_id"] for row in page] == [f"{name}{number}" for number in range(29, 9, -1)]
