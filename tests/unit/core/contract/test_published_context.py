"""What a run published as its context reaches the calls, and never makes them wait or fail."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.core.paths import VigiePaths
from services.core.pipeline.workspace import set_current
from services.core.published_context import PublishedContextSource


def publish(home: VigiePaths, run: str, values: list[float]) -> None:
    """A state with a context, as a run publishes it."""
    state = home.states("toy") / run
    folder = state / "data" / "toy" / "examples"
    folder.mkdir(parents=True)
    np.savez(folder / "context.npz", values=np.array(values))
    set_current(home, "toy", state)


def source(home: VigiePaths, **more: Any) -> PublishedContextSource:
    def keep(arrays: Mapping[str, Any]) -> dict[str, Any]:
        return {"values": arrays["values"][-2:]}

    return PublishedContextSource("toy", home, home, keep=keep, missing="Nothing is known.", **more)


@pytest.fixture
def home(tmp_path: Path) -> VigiePaths:
    return VigiePaths(tmp_path)


def test_nothing_published_is_an_empty_context_with_a_warning(home: VigiePaths) -> None:
    made = source(home)
    made.start()
    assert made.snapshot() == {}
    assert made.warning() == "Nothing is known."
    made.stop()


def test_what_is_published_is_held_as_far_as_calls_need_it(home: VigiePaths) -> None:
    publish(home, "1", [1.0, 2.0, 3.0])
    made = source(home)
    made.start()
    assert made.snapshot()["values"].tolist() == [2.0, 3.0]
    assert made.warning() is None
    made.stop()


def test_a_newer_state_is_followed_in_the_background(home: VigiePaths) -> None:
    publish(home, "1", [1.0])
    made = source(home, every=0.01)
    made.start()
    publish(home, "2", [5.0])
    until = time.monotonic() + 20
    while made.snapshot()["values"].tolist() != [5.0] and time.monotonic() < until:
        time.sleep(0.01)
    made.stop()
    assert made.snapshot()["values"].tolist() == [5.0]


def test_the_same_state_is_read_once(home: VigiePaths) -> None:
    publish(home, "1", [1.0])
    made = source(home)
    assert made.refresh()
    assert not made.refresh()


def test_a_damaged_file_changes_nothing(home: VigiePaths) -> None:
    publish(home, "1", [1.0])
    made = source(home)
    made.refresh()
    publish(home, "2", [2.0])
    (home.data("toy") / "examples" / "context.npz").write_bytes(b"PK not a zip")
    assert not made.refresh()
    assert made.snapshot()["values"].tolist() == [1.0]


def test_a_start_without_the_state_begins_with_the_copy(home: VigiePaths) -> None:
    publish(home, "1", [7.0])
    source(home).refresh()
    home.current("toy").unlink()
    made = source(home)
    made.start()
    assert made.snapshot()["values"].tolist() == [7.0]
    made.stop()


@pytest.mark.parametrize("damage", ["bytes", "folder", "other arrays"])
def test_a_damaged_context_keeps_nothing_from_starting(home: VigiePaths, damage: str) -> None:
    publish(home, "1", [1.0])
    for file in (home.data("toy") / "examples" / "context.npz", home.root / "context" / "toy.npz"):
        file.unlink(missing_ok=True)
        file.parent.mkdir(exist_ok=True)
        if damage == "folder":
            file.mkdir()
        elif damage == "bytes":
            file.write_bytes(b"PK\x03\x04 and no more")
        else:
            np.savez(file, strange=np.zeros(3))
    made = source(home)
    made.start()
    assert "values" not in made.snapshot()
    made.stop()
