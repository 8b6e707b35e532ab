"""The audit log shows whatever was done to it, on both databases."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from sqlalchemy import Connection, Engine, select, text
from sqlalchemy.exc import DBAPIError

from services.core.audit.entries import AuditEntry
from services.core.audit.log import AuditChain, AuditEntryRow, VerificationReport, entry_hash, verify_chain

CHAIN = AuditChain(b"a secret that is not in the database")
OTHER = AuditChain(b"another secret")


def _write(engine: Engine, *names: str, chain: AuditChain = CHAIN) -> None:
    with engine.begin() as connection:
        chain.append(connection, [AuditEntry(service="test", action="thing.done", target=name) for name in names])


def _verify(engine: Engine, noted: tuple[int, str] | None = None) -> VerificationReport:
    with engine.connect() as connection:
        return verify_chain(connection, CHAIN, noted=noted)


def _tamper(engine: Engine, *statements: str) -> None:
    """As somebody who owns the database: without its triggers."""
    with engine.begin() as connection:
        _without_triggers(connection)
        for statement in statements:
            connection.execute(text(statement))


def _without_triggers(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("ALTER TABLE audit_entries DISABLE TRIGGER USER"))
        return
    names = connection.scalars(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all()
    for name in names:
        connection.execute(text(f"DROP TRIGGER {name}"))


@pytest.fixture
def written(engine: Engine) -> Engine:
    _write(engine, "one", "two", "three")
    _write(engine, "four", "five", "six")
    return engine


def test_a_log_that_nobody_touched_is_intact(written: Engine) -> None:
    report = _verify(written)
    assert (report.entries, report.sequence, report.faults) == (6, 6, [])


def test_an_empty_log_is_intact(engine: Engine) -> None:
    assert _verify(engine).intact


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_entries SET target = 'x' WHERE sequence = 2",
        "DELETE FROM audit_entries WHERE sequence = 2",
        "DELETE FROM audit_entries",
    ],
)
def test_the_database_itself_refuses_to_change_or_remove_an_entry(written: Engine, statement: str) -> None:
    with pytest.raises(DBAPIError, match="append-only"), written.begin() as connection:
        connection.execute(text(statement))
    assert _verify(written).intact


def test_the_database_refuses_the_ways_around_the_triggers(written: Engine) -> None:
    statement = "TRUNCATE audit_entries"
    if written.dialect.name == "sqlite":
        statement = "INSERT OR REPLACE INTO audit_entries SELECT * FROM audit_entries WHERE sequence = 2"
    with pytest.raises(DBAPIError, match="append-only"), written.begin() as connection:
        connection.execute(text(statement))


@pytest.mark.parametrize("column", ["target", "actor_name", "action", "outcome", "details", "address", "time"])
def test_a_changed_entry_is_found_and_named(written: Engine, column: str) -> None:
    value = "'2020-01-01 00:00:00'" if column == "time" else "'x'"
    _tamper(written, f"UPDATE audit_entries SET {column} = {value} WHERE sequence = 3")  # noqa: S608
    assert _verify(written).faults == ["Entry 3 was changed."]


def test_an_entry_that_was_changed_together_with_its_hash_is_found(written: Engine) -> None:
    with written.connect() as connection:
        stored = dict(
            connection.execute(select(AuditEntryRow.__table__).where(AuditEntryRow.sequence == 3)).mappings().one()
        )
    stored["target"] = "x"
    _tamper(written, f"UPDATE audit_entries SET target = 'x', hash = '{entry_hash(stored)}' WHERE sequence = 3")  # noqa: S608
    assert _verify(written).faults == ["Entry 4 does not follow entry 3 as it stands there now."]


def test_an_entry_removed_in_the_middle_is_found_and_named(written: Engine) -> None:
    _tamper(written, "DELETE FROM audit_entries WHERE sequence IN (3, 4)")
    assert "Entries 3 to 4 were removed." in _verify(written).faults


def test_an_entry_removed_in_the_middle_is_found_although_the_others_close_up(written: Engine) -> None:
    _tamper(
        written,
        "DELETE FROM audit_entries WHERE sequence = 3",
        "UPDATE audit_entries SET sequence = 3 WHERE sequence = 4",
        "UPDATE audit_entries SET sequence = 4 WHERE sequence = 5",
        "UPDATE audit_entries SET sequence = 5 WHERE sequence = 6",
    )
    assert not _verify(written).intact


def test_the_first_entry_removed_is_found(written: Engine) -> None:
    _tamper(written, "DELETE FROM audit_entries WHERE sequence = 1")
    assert "Entry 1 was removed." in _verify(written).faults


def test_entries_removed_from_the_end_are_found_by_the_signed_head(written: Engine) -> None:
    _tamper(written, "DELETE FROM audit_entries WHERE sequence > 4")
    assert _verify(written).faults == ["At the end: entries 5 to 6 were removed from the end."]


def test_a_head_that_was_set_back_without_the_key_is_found(written: Engine) -> None:
    _tamper(
        written,
        "DELETE FROM audit_entries WHERE sequence > 4",
        "UPDATE audit_head SET sequence = 4, hash = (SELECT hash FROM audit_entries WHERE sequence = 4)",
    )
    assert _verify(written).faults == ["At the end: the head is not signed with this platform's key."]


def test_an_old_head_put_back_with_its_entries_is_found_by_what_was_noted(engine: Engine) -> None:
    _write(engine, "one")
    with engine.connect() as connection:
        old = connection.execute(text("SELECT sequence, hash, mac FROM audit_head")).one()
    _write(engine, "two")
    noted = _verify(engine)
    _tamper(
        engine,
        "DELETE FROM audit_entries WHERE sequence = 2",
        f"UPDATE audit_head SET sequence = {old.sequence}, hash = '{old.hash}', mac = '{old.mac}'",  # noqa: S608
    )
    assert _verify(engine).intact, "nothing inside the database shows it"
    assert _verify(engine, (noted.sequence, noted.hash)).faults == ["Entry 2 is not the one whose hash was noted."]


def test_a_missing_head_is_found(written: Engine) -> None:
    _tamper(written, "DELETE FROM audit_head")
    assert _verify(written).faults == ["At the end: the signed head is gone."]


def test_all_entries_removed_is_found(written: Engine) -> None:
    _tamper(written, "DELETE FROM audit_entries")
    assert _verify(written).faults == ["At the end: entries 1 to 6 were removed from the end."]


def test_reordered_entries_are_found_and_named(written: Engine) -> None:
    _tamper(
        written,
        "UPDATE audit_entries SET sequence = 99 WHERE sequence = 2",
        "UPDATE audit_entries SET sequence = 2 WHERE sequence = 4",
        "UPDATE audit_entries SET sequence = 4 WHERE sequence = 99",
    )
    faults = _verify(written).faults
    assert "Entry 2 was reordered: it was written as 4." in faults
    assert "Entry 4 was reordered: it was written as 2." in faults


def test_an_entry_written_without_the_key_is_found(written: Engine) -> None:
    _write(written, "forged", chain=OTHER)
    assert not _verify(written).intact


def test_after_tampering_the_log_goes_on_and_says_so_for_ever(written: Engine) -> None:
    _tamper(written, "DELETE FROM audit_entries WHERE sequence > 4")
    _write(written, "seven")
    report = _verify(written)
    assert (report.entries, report.sequence) == (6, 8)
    assert "Entries 5 to 6 were removed." in report.faults
    assert any("Entry 7 says that the end of the log had been tampered with" in fault for fault in report.faults)


def test_an_entry_delivered_twice_is_stored_once(engine: Engine) -> None:
    entry = AuditEntry(service="training", action="model.promoted")
    for _ in range(2):
        with engine.begin() as connection:
            CHAIN.append(connection, [entry, entry])
    assert _verify(engine).entries == 1


def test_many_writers_at_once_make_one_unbroken_chain(engine: Engine) -> None:
    together, failures = threading.Barrier(8), []

    def write(number: int) -> None:
        together.wait()
        try:
            for turn in range(10):
                _write(engine, f"{number}-{turn}")
        except Exception as error:  # noqa: BLE001 - it is looked at below
            failures.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    _run(threads)
    assert failures == []
    report = _verify(engine)
    assert (report.entries, report.faults) == (80, [])


def test_what_is_rolled_back_leaves_nothing(engine: Engine) -> None:
    _write(engine, "one")
    with engine.connect() as connection:
        CHAIN.append(connection, [AuditEntry(service="test", action="thing.done")])
        connection.rollback()
    _write(engine, "two")
    assert _verify(engine).faults == []


@pytest.mark.parametrize(
    "make",
    [
        lambda: AuditEntry(service="s", action="thing.done", target="ü\x00\x1b[31m€ \U0001f692"),
        lambda: AuditEntry(service="s", action="thing.done", details={"a": ["é", "\x00"], "b": True, "c": 10**30}),
    ],
    ids=["control characters", "odd details"],
)
def test_odd_text_survives_the_database_unchanged(engine: Engine, make: Callable[[], AuditEntry]) -> None:
    with engine.begin() as connection:
        CHAIN.append(connection, [make()])
    assert _verify(engine).intact


def _run(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
