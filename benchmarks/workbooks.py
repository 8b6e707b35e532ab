"""Reads one workbook with openpyxl and with calamine, each in a process of its own: seconds and CPU for each row.

``python -m benchmarks.workbooks [--rows N] [FILE]``; without a file one of the fire brigade's width is made.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path

COLUMNS = 39


def write_workbook(path: Path, rows: int) -> None:
    """Text, numbers, times and empty cells, as in the official workbook of calls."""
    import openpyxl

    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("calls")
    sheet.append([f"column {number}" for number in range(COLUMNS)])
    start = datetime(2024, 1, 1)  # noqa: DTZ001 - workbooks have no zones
    for number in range(rows):
        cells = [f"{number:06d}-01", start + timedelta(minutes=number), number % 997, number * 0.37, None, "Dwelling"]
        sheet.append((cells * 7)[:COLUMNS])
    book.save(path)


def read_with_openpyxl(path: Path) -> int:
    import openpyxl

    book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    return sum(1 for row in book.worksheets[0].iter_rows(values_only=True) if [str(cell) for cell in row])


def read_with_calamine(path: Path) -> int:
    """As the platform reads it, CSV text included."""
    from services.core.raw_files.workbooks import workbook_to_csv

    with path.open("rb") as stream:
        return sum(text.count("\n") for _, text in workbook_to_csv(stream, path.name, [["column 0"]]))


READERS = {"openpyxl": read_with_openpyxl, "calamine": read_with_calamine}


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
