"""Raw tables become examples; nothing but the rows decides their bytes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from services.core.errors import VigieError
from services.core.params import Ingest, Preprocess, Simulate
from services.ingestion.stage.ingest import ingest
from services.preprocessing.stage.preprocess import preprocess, write_arrays

HEADER = "delivery_id,called_at,distance,kind,town,seconds,size\n"


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    (tmp_path / "data" / "toy" / "landing").mkdir(parents=True)
    return tmp_path


def land(workspace: Path, name: str, numbers: Sequence[int], seconds: int = 700) -> None:
    rows = [f"D{n:04d},2024-01-{n % 28 + 1:02d}T10:00:00Z,3.5,parcel,east,{seconds},small\n" for n in numbers]
    (workspace / "data" / "toy" / "landing" / name).write_text(HEADER + "".join(rows))


def examples_after(workspace: Path) -> tuple[pd.Series, dict[str, bytes]]:
    ingest("toy", workspace, Ingest(simulate=Simulate(rows=40, days=3)))
    preprocess("toy", workspace, Preprocess())
    folder = workspace / "data" / "toy" / "examples"
    frame = pd.read_parquet(folder / "examples.parquet").set_index("delivery_id")
    return frame["seconds"], {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_folder_holds_what_training_reads_and_the_profile_lies_beside_it(workspace: Path) -> None:
    land(workspace, "a.csv", range(10))
    _, files = examples_after(workspace)
    assert sorted(files) == ["context.npz", "examples.parquet", "manifest.json", "reference.npz"]
    assert json.loads((workspace / "data" / "toy" / "profile.json").read_text())["rows"] == 10
    manifest = json.loads(files["manifest.json"])
    assert (manifest["rows"], manifest["simulated"]) == (10, False)
    assert manifest["span"] == {"first": "2024-01-01T10:00:00+00:00", "last": "2024-01-10T10:00:00+00:00"}
    assert manifest["labelled"] == {"seconds": 10, "late": 10, "size": 10}


def test_new_rows_reach_the_training_set(workspace: Path) -> None:
    land(workspace, "a.csv", range(10))
    examples_after(workspace)
    land(workspace, "b.csv", range(10, 15))
    assert len(examples_after(workspace)[0]) == 15


def test_corrected_rows_replace_the_old_in_the_training_set(workspace: Path) -> None:
    land(workspace, "a.csv", range(10))
    examples_after(workspace)
    land(workspace, "b.csv", [7], seconds=123)
    seconds, _ = examples_after(workspace)
    assert seconds["D0007"] == 123
    assert (seconds.drop("D0007") == 700).all()


def test_the_same_rows_in_other_files_change_no_byte(workspace: Path) -> None:
    land(workspace, "a.csv", range(10))
    _, before = examples_after(workspace)
    land(workspace, "b.csv", range(3, 8))
    land(workspace, "c.csv", range(9, -1, -1))
    _, after = examples_after(workspace)
    assert after == before


def test_simulated_data_says_so(workspace: Path) -> None:
    _, files = examples_after(workspace)
    assert json.loads(files["manifest.json"])["simulated"] is True


def test_without_raw_tables_the_error_says_what_to_run(workspace: Path) -> None:
    with pytest.raises(VigieError) as caught:
        preprocess("toy", workspace, Preprocess())
    assert caught.value.action == "Run the ingest stage: ./vigie ingest toy"


def test_arrays_are_stored_without_pickle_and_the_same_bytes_each_time(tmp_path: Path) -> None:
    arrays = {"b": np.array(["x", "yy"]), "a": np.arange(3.0)}
    write_arrays(tmp_path / "one.npz", arrays)
    write_arrays(tmp_path / "two.npz", dict(reversed(arrays.items())))
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    with np.load(tmp_path / "one.npz", allow_pickle=False) as stored:
        assert stored["b"].tolist() == ["x", "yy"]


def test_arrays_of_python_objects_are_refused(tmp_path: Path) -> None:
    with pytest.raises(VigieError, match="the arrays names hold Python objects"):
        write_arrays(tmp_path / "one.npz", {"names": np.array(["x", None], dtype=object)})
