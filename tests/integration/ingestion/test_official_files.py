"""Real official files, from a drop folder to examples that obey the request model."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from services.core.params import Ingest, Preprocess
from services.core.paths import VigiePaths
from services.core.raw_files.reader import read_folder
from services.core.settings import CHECKOUT
from services.ingestion.sources.acquire import acquire
from services.ingestion.stage.ingest import ingest
from services.preprocessing.stage.preprocess import preprocess


def examples(use_case: str, drop: Path, workspace: Path) -> tuple[pd.DataFrame, dict[str, object], dict[str, str]]:
    """Examples, the raw manifest, and what was left alone."""
    landing = workspace / "data" / use_case / "landing"
    acquired = acquire(use_case, str(drop), landing, home=VigiePaths(workspace / "home"), root=CHECKOUT)
    ingest(use_case, workspace, Ingest())
    preprocess(use_case, workspace, Preprocess(sample_rows=200))
    data = workspace / "data" / use_case
    return (
        pd.read_parquet(data / "examples" / "examples.parquet"),
        json.loads((data / "raw" / "manifest.json").read_text()),
        acquired.ignored,
    )


@pytest.fixture
def fire(shared_data: Path, tmp_path: Path) -> Path:
    """The brigade's folder without its largest file, and with all that lies beside the tables."""
    source = shared_data / "fire_response"
    return shutil.copytree(source, tmp_path / "drop", ignore=shutil.ignore_patterns("lfb-incidents-2017*"))


def test_the_fire_brigades_folder_is_read_with_its_context_and_its_dictionaries_are_left_alone(
    fire: Path, tmp_path: Path
) -> None:
    made, manifest, ignored = examples("fire_response", fire, tmp_path / "workspace")
    assert {name: table["rows"] for name, table in manifest["tables"].items()} == {  # type: ignore[attr-defined]
        "incidents": 7_056,
        "mobilisations": 20,
        "stations": 108,
        "weather": 4_344,
    }
    assert sorted(ignored) == ["Incidents_Metadata.xlsx", "Mobilisations_Metadata.xlsx"]
    assert manifest["quarantined"] == 0
    assert manifest["simulated"] is False
    assert len(made) > 7_056  # a row for each pump


@pytest.mark.parametrize(("year", "accidents"), [("cyclists-2023", 4_652), ("2016-excerpt", 2_238)])
def test_accident_tables_of_both_layouts_are_read_out_of_a_zip(
    shared_data: Path, tmp_path: Path, year: str, accidents: int
) -> None:
    (tmp_path / "drop").mkdir()
    texts = {
        path.name: path.read_text(encoding="latin-1").splitlines(keepends=True)
        for path in (shared_data / "road_accidents" / year).iterdir()
    }
    # the excerpt holds the first rows of each file, which are not the same accidents
    shared = set.intersection(*({line[:12] for line in lines[1:]} for lines in texts.values()))
    with zipfile.ZipFile(tmp_path / "drop" / "download.zip", "w") as archive:
        for name, lines in texts.items():
            rows = [line for line in lines[1:] if year != "2016-excerpt" or line[:12] in shared]
            archive.writestr(f"tables/{name}", "".join([lines[0], *rows]).encode("latin-1"))
    made, manifest, _ = examples("road_accidents", tmp_path / "drop", tmp_path / "workspace")
    assert manifest["simulated"] is False
    assert len(made) == accidents


def test_a_folder_of_official_files_is_read_in_memory_for_scoring(fire: Path) -> None:
    tables = read_folder("fire_response", fire)
    assert len(tables["incidents"]) == 7_056
