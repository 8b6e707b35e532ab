"""The real first stages as processes of a run, on a tiny use case."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from services.core.errors import VigieError
from services.core.paths import VigiePaths
from services.core.pipeline.run import run_stages
from services.ingestion.sources.acquire import acquire

HEADER = "delivery_id,called_at,distance,kind,town,seconds,size\n"


def write(path: Path, numbers: Sequence[int], kind: str = "parcel") -> None:
    path.parent.mkdir(exist_ok=True)
    rows = [f"D{n:04d},2024-01-{n % 28 + 1:02d}T10:00:00Z,3.5,{kind},east,700,small\n" for n in numbers]
    path.write_text(HEADER + "".join(rows))


@pytest.mark.slow
def test_a_folder_becomes_examples_and_a_bad_file_in_it_changes_nothing_and_says_why(
    home: VigiePaths, tmp_path: Path
) -> None:
    drop = tmp_path / "drop"

    def prepare(workspace: Path) -> None:
        acquire("toy", str(drop), workspace / "data" / "toy" / "landing", home=home)

    write(drop / "good.csv", range(40))
    state = run_stages(home, "toy", "preprocess", prepare=prepare)
    manifest = json.loads((home.data("toy") / "examples" / "manifest.json").read_text())
    assert (manifest["rows"], manifest["simulated"]) == (40, False)

    write(drop / "bad.csv", range(40, 80), kind="elephant")
    with pytest.raises(VigieError) as caught:
        run_stages(home, "toy", "preprocess", prepare=prepare)
    assert caught.value.problem == (
        "bad.csv: 40 of 40 rows (100.0%) are bad: kind is not letter or parcel (40 rows, first on line 2). "
        "Nothing was changed."
    )
    assert caught.value.expected == "at most 5.0% bad rows in a file"
    assert home.current("toy").resolve() == state
    assert not any("bad" in path.name for path in (home.data("toy") / "landing").iterdir())
