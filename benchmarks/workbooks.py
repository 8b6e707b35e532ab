"""Reads one workbook of incidents with openpyxl, with calamine and by the whole way into the raw tables, each in a
process of its own: seconds and CPU for each row.

``python -m benchmarks.workbooks [--rows N] [FILE]``; without a file the simulator's incidents are written, in the 31
columns that the brigade published in 2017.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COLUMNS = 31
SIGNATURE = ("IncidentNumber", "IncidentGroup", "FirstPumpArriving_AttendanceTime")


def write_workbook(path: Path, rows: int) -> None:
    """Simulated incidents with dates, times and numbers as a spreadsheet stores them, filled up to the official width
    with texts."""
    import openpyxl
    import pandas as pd

    from services.core import use_case_registry

    folder = path.with_suffix("")
    folder.mkdir()
    simulator = use_case_registry.get("fire_response").simulator
    written = simulator.write(folder, seed=1, rows=2 * rows, start="2017-01-01", days=365, drift=())
    file = next(path for path in written if "incident" in path.name.casefold())
    frame = pd.read_csv(file, dtype={"IncidentNumber": "str"})
    frame["DateOfCall"] = pd.to_datetime(frame["DateOfCall"], format="mixed")
    frame["TimeOfCall"] = pd.to_datetime(frame["TimeOfCall"], format="%H:%M:%S").dt.time
    for number in range(len(frame.columns), COLUMNS):
        frame[f"ward {number}"] = "KING'S PARK"
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("incidents")
    sheet.append(list(frame.columns))
    for cells in frame.astype(object).where(frame.notna(), None).itertuples(index=False):
        sheet.append(list(cells))
    book.save(path)


def read_with_openpyxl(path: Path) -> int:
    import openpyxl

    book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    return sum(1 for row in book.worksheets[0].iter_rows(values_only=True) if [str(cell) for cell in row])


def read_with_calamine(path: Path) -> int:
    """As the platform reads it, CSV text included."""
    from services.core.raw_files.workbooks import workbook_to_csv

    with path.open("rb") as stream:
        return sum(text.count("\n") for _, text in workbook_to_csv(stream, path.name, [SIGNATURE]))


def read_by_ingest(path: Path) -> int:
    """From the drop folder to the published tables: acquire and the stage ingest."""
    from services.core.params import Ingest
    from services.core.paths import VigiePaths
    from services.core.settings import CHECKOUT
    from services.ingestion.sources.acquire import acquire
    from services.ingestion.stage.ingest import ingest

    with tempfile.TemporaryDirectory() as folder:
        drop, workspace = Path(folder) / "drop", Path(folder) / "workspace"
        drop.mkdir()
        shutil.copy(path, drop)
        landing = workspace / "data" / "fire_response" / "landing"
        acquire("fire_response", str(drop), landing, home=VigiePaths(Path(folder) / "home"), root=CHECKOUT)
        ingest("fire_response", workspace, Ingest())
        manifest = json.loads((workspace / "data" / "fire_response" / "raw" / "manifest.json").read_text())
        return int(manifest["tables"]["incidents"]["rows"])


READERS = {"openpyxl": read_with_openpyxl, "calamine": read_with_calamine, "ingest": read_by_ingest}


def measure(reader: str, path: Path) -> None:
    began = time.perf_counter()
    rows = READERS[reader](path)
    seconds = time.perf_counter() - began
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu = sum(use.ru_utime + use.ru_stime for use in used)
    print(
        json.dumps(
            {
                "reader": reader,
                "rows": rows,
                "rows_per_second": round(rows / seconds),
                "cpu_ms_per_row": round(1_000 * cpu / rows, 4),
                "memory_mb": max(use.ru_maxrss for use in used) >> 10,
            }
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", type=Path)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--reader", choices=READERS)
    given = parser.parse_args()
    if given.reader and given.file:
        measure(given.reader, given.file)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = given.file or Path(folder) / "calls.xlsx"
        if given.file is None:
            write_workbook(path, given.rows)
        for reader in READERS:
            subprocess.run([sys.executable, "-m", "benchmarks.workbooks", str(path), "--reader", reader], check=True)


if __name__ == "__main__":
    main()
