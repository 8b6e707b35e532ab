"""The ingest stage: what has landed becomes raw tables, the same bytes for the same rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from services.core.errors import VigieError
from services.core.params import Ingest, Simulate
from services.core.raw_files import landing
from services.ingestion.stage.ingest import ingest

SMALL = Ingest(simulate=Simulate(rows=50, days=3))


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    root = tmp_path / "workspace"
    (root / "data" / "toy" / "landing").mkdir(parents=True)
    return root


def land(workspace: Path, path: Path) -> None:
    with path.open("rb") as stream:
        landing.add_file(workspace / "data" / "toy" / "landing", "folder", path.name, stream)


def table(workspace: Path) -> pd.DataFrame:
    return pd.read_parquet(workspace / "data" / "toy" / "raw" / "deliveries.parquet")


def hashes(workspace: Path) -> dict[str, str]:
    raw = workspace / "data" / "toy" / "raw"
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in raw.iterdir()}


def test_the_same_files_again_give_the_same_bytes(workspace: Path, deliveries: Callable[..., Path]) -> None:
    land(workspace, deliveries("a.csv", range(20)))
    ingest("toy", workspace, SMALL)
    first = hashes(workspace)
    ingest("toy", workspace, SMALL)
    assert hashes(workspace) == first


def test_the_same_rows_in_another_file_change_no_table(workspace: Path, deliveries: Callable[..., Path]) -> None:
    land(workspace, deliveries("a.csv", range(20)))
    ingest("toy", workspace, SMALL)
    first = hashes(workspace)["deliveries.parquet"]
    land(workspace, deliveries("b.csv", range(19, 4, -1)))
    ingest("toy", workspace, SMALL)
    assert hashes(workspace)["deliveries.parquet"] == first


def test_new_rows_are_added(workspace: Path, deliveries: Callable[..., Path]) -> None:
    land(workspace, deliveries("a.csv", range(10)))
    ingest("toy", workspace, SMALL)
    land(workspace, deliveries("b.csv", range(10, 15)))
    ingest("toy", workspace, SMALL)
    assert len(table(workspace)) == 15


def test_corrected_rows_replace_the_old(
    workspace: Path, deliveries: Callable[..., Path], delivery: Callable[..., tuple[str, ...]]
) -> None:
    land(workspace, deliveries("a.csv", range(10)))
    ingest("toy", workspace, SMALL)
    land(workspace, deliveries("b.csv", [], delivery(3, seconds="123")))
    ingest("toy", workspace, SMALL)
    rows = table(workspace).set_index("delivery_id")["seconds"]
    assert len(rows) == 10
    assert rows["D0003"] == 123
    assert (rows.drop("D0003") == 700).all()


def test_a_refused_file_leaves_what_was_there(
    workspace: Path, deliveries: Callable[..., Path], delivery: Callable[..., tuple[str, ...]]
) -> None:
    land(workspace, deliveries("a.csv", range(10)))
    ingest("toy", workspace, SMALL)
    before = hashes(workspace)
    land(workspace, deliveries("bad.csv", [], delivery(11, kind="elephant")))
    with pytest.raises(VigieError, match=r"bad\.csv"):
        ingest("toy", workspace, SMALL)
    assert hashes(workspace) == before


def test_the_quarantine_is_a_table_that_people_can_open(
    workspace: Path, deliveries: Callable[..., Path], delivery: Callable[..., tuple[str, ...]]
) -> None:
    land(workspace, deliveries("a.csv", range(30), delivery(99, kind="elephant")))
    ingest("toy", workspace, SMALL)
    refused = pd.read_csv(workspace / "data" / "toy" / "quarantine" / "rows.csv")
    assert refused.drop(columns=["column", "value", "row"]).to_dict("records") == [
        {"file": "a.csv", "table": "deliveries", "line": 32, "reason": "kind is not letter or parcel"}
    ]


def test_the_manifest_tells_where_everything_came_from(workspace: Path, deliveries: Callable[..., Path]) -> None:
    path = deliveries("a.csv", range(20))
    land(workspace, path)
    ingest("toy", workspace, SMALL)
    manifest = json.loads((workspace / "data" / "toy" / "raw" / "manifest.json").read_text())
    assert manifest["simulated"] is False
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert manifest["files"] == [{"name": "a.csv", "origin": "folder", "sha256": digest}]
    assert manifest["tables"]["deliveries"]["rows"] == 20


def test_where_nothing_has_landed_the_simulator_stands_in_and_says_so(workspace: Path) -> None:
    ingest("toy", workspace, SMALL)
    manifest = json.loads((workspace / "data" / "toy" / "raw" / "manifest.json").read_text())
    assert manifest["simulated"] is True
    assert len(table(workspace)) == 50
    assert list((workspace / "data" / "toy" / "landing").iterdir()) == []


def test_simulated_files_do_not_count_beside_real_ones(workspace: Path, deliveries: Callable[..., Path]) -> None:
    folder = workspace / "data" / "toy" / "landing"
    (folder / "deliveries-simulated.csv").write_bytes(deliveries("s.csv", range(100, 200)).read_bytes())
    (folder / "real.csv").write_bytes(deliveries("r.csv", range(5)).read_bytes())
    ingest("toy", workspace, SMALL)
    assert len(table(workspace)) == 5


def test_hidden_files_that_keep_a_folder_in_git_are_no_data(workspace: Path) -> None:
    (workspace / "data" / "toy" / "landing" / ".gitkeep").touch()
    ingest("toy", workspace, SMALL)
    assert len(table(workspace)) == 50
