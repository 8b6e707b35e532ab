"""Reads Excel workbooks with calamine, in a subprocess with limits on cells, memory and CPU time.

A workbook of a few kilobytes can exhaust the memory: one cell in the last corner makes a sheet of 17 billion cells,
and the library then aborts its process. ``python -m services.core.raw_files.workbooks`` is the subprocess.
"""

from __future__ import annotations

import csv
import io
import json
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date, datetime, time
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from services.core.errors import VigieError
from services.core.raw_files.headers import MAX_TITLE_LINES, missing_columns

_REFUSED = 3
"""Exit code of the subprocess if the reason is in the file ``error``."""
_DAMAGED = "damaged"
_TOO_LARGE = "too large"


@dataclass(frozen=True, slots=True)
class WorkbookBudget:
    """Limits for reading one workbook. ``cells`` counts the bounding rectangle of a sheet, empty cells included."""

    cells: int = 60_000_000
    memory_mb: int = 4_096
    seconds: int = 900
    rows: int | None = None
    """Rows of a sheet after which ``read_sheets`` stops; None reads all."""


def workbook_to_csv(
    stream: BinaryIO,
    name: str,
    signatures: Sequence[Sequence[str]],
    budget: WorkbookBudget = WorkbookBudget(),
    scratch: Path | None = None,
) -> Iterator[tuple[str, str]]:
    """Convert the sheets that have a known header to CSV text. Row numbers stay those of the sheet.

    Args:
        stream: the workbook.
        name: of the workbook, for error messages.
        signatures: for each table the columns of its header; ``"a|b"`` is either of two.
        budget: resource limits.
        scratch: existing folder with disk space for the texts; by default the temporary folder.

    Yields:
        Title and text of a sheet.

    Raises:
        VigieError: not a workbook, a damaged one, or over budget.
    """
    with _converted(stream, name, [list(names) for names in signatures], budget, scratch) as folder:
        for number, title in enumerate(json.loads((folder / "titles").read_text(encoding="utf-8"))):
            yield title, (folder / str(number)).read_text(encoding="utf-8")


def read_sheets(content: bytes, name: str, budget: WorkbookBudget) -> dict[str, list[list[Any]]]:
    """Rows of each sheet by its title, row 1 first; cells are text, numbers, booleans, times or None.

    Raises:
        VigieError: as ``workbook_to_csv``.
    """
    with _converted(io.BytesIO(content), name, None, budget) as folder:
        titles = json.loads((folder / "titles").read_text(encoding="utf-8"))
        return {title: _read_rows(folder / str(number)) for number, title in enumerate(titles)}


def _read_rows(path: Path) -> list[list[Any]]:
    with path.open(encoding="utf-8") as lines:
        return [[_from_json(cell) for cell in json.loads(line)] for line in lines]


@contextmanager
def _converted(
    stream: BinaryIO, name: str, signatures: list[list[str]] | None, budget: WorkbookBudget, scratch: Path | None = None
) -> Iterator[Path]:
    """Run the subprocess; yields the folder with its CSV texts, which is deleted after the block."""
    with tempfile.TemporaryDirectory(dir=scratch) as temporary:
        folder = str(Path(temporary).resolve())
        with (Path(folder) / "workbook").open("wb") as copy:
            shutil.copyfileobj(stream, copy)
        command = [sys.executable, "-m", __name__, folder, json.dumps([signatures, asdict(budget)])]
        try:
            done = subprocess.run(
                command,
                cwd=Path(__file__).parents[3],
                timeout=budget.seconds,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise _over_budget(name, f"takes more than {budget.seconds} seconds to read") from None
        if done.returncode == _REFUSED:
            kind, detail = json.loads((Path(folder) / "error").read_text(encoding="utf-8"))
            raise _over_budget(name, detail) if kind == _TOO_LARGE else _damaged(name, detail)
        if done.returncode < 0:  # the library aborts when it runs out of memory
            raise _over_budget(name, f"needs more than {budget.memory_mb} MB of memory: its sheets span too many cells")
        if done.returncode:
            raise RuntimeError(done.stderr.decode(errors="replace"))
        yield Path(folder)


def _damaged(name: str, detail: str) -> VigieError:
    return VigieError(
        f"{name} is not a readable Excel workbook: {detail}",
        expected="an .xlsx file as Excel or LibreOffice writes it",
        action="Open it, save it again as .xlsx or CSV, and drop it once more.",
    )


def _over_budget(name: str, what: str) -> VigieError:
    return VigieError(
        f"{name} {what}.",
        expected="sheets whose cells lie together, from the header on",
        action="Delete stray cells far below or beside the table, split the file, or save the sheet as CSV.",
    )


# --- in the subprocess ------------------------------------------------------------------------------


class _SheetTooLargeError(Exception):
    """A sheet spans more cells than the budget allows."""


def _convert(folder: Path, signatures: list[list[str]] | None, budget: WorkbookBudget) -> None:
    from python_calamine import CalamineWorkbook, SheetTypeEnum  # noqa: PLC0415 - not needed in the parent process

    path = folder / "workbook"
    titles: list[str] = []
    cells = budget.cells
    with CalamineWorkbook.from_path(path) as book:
        for index, about in enumerate(book.sheets_metadata):
            if about.typ is not SheetTypeEnum.WorkSheet:
                continue
            sheet = book.get_sheet_by_index(index)
            height, width = (last + 1 for last in sheet.end or (-1, -1))
            cells -= height * width
            if cells < 0:
                raise _SheetTooLargeError(
                    f"holds the sheet {about.name!r} of {height:,} rows by {width:,} columns, more cells than allowed"
                )
            rows = _with_errors(sheet.iter_rows(), _error_cells(path, index))
            with (folder / str(len(titles))).open("w", encoding="utf-8", newline="") as out:
                if signatures is None:
                    read = islice(rows, budget.rows)
                    out.writelines(json.dumps([_to_json(cell) for cell in row]) + "\n" for row in read)
                    titles.append(about.name)
                elif _write_csv(out, rows, signatures):
                    titles.append(about.name)
    (folder / "titles").write_text(json.dumps(titles), encoding="utf-8")


def _write_csv(out: Any, rows: Iterator[list[Any]], signatures: list[list[str]]) -> bool:
    writer = csv.writer(out, lineterminator="\n")
    width = 0
    for number, cells in enumerate(rows, start=1):
        values = [_text(cell) for cell in cells[: width or None]]
        if not width:
            while values and not values[-1]:
                values.pop()
            if values and _is_header(values, signatures):
                width = len(values)
                writer.writerow(values)
            elif number >= MAX_TITLE_LINES:
                return False
            else:
                out.write("\n")
        elif any(values):
            writer.writerow(values)
        else:
            out.write("\n")
    return width > 0


def _is_header(values: list[str], signatures: list[list[str]]) -> bool:
    return any(not missing_columns(values, marks) for marks in signatures if marks)


def _text(cell: Any) -> str:
    if isinstance(cell, str):
        return " ".join(cell.splitlines()) if "\n" in cell or "\r" in cell else cell
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, datetime):
        return cell.date().isoformat() if cell.time() == time() else cell.isoformat(sep=" ", timespec="seconds")
    if isinstance(cell, (date, time)):
        return cell.isoformat()
    return str(cell)


def _to_json(cell: Any) -> Any:
    if isinstance(cell, float) and cell.is_integer():
        return int(cell)
    if isinstance(cell, time):
        return {"time": cell.isoformat()}
    if isinstance(cell, date):  # a date is midnight, as workbooks store it
        return {"datetime": (cell if isinstance(cell, datetime) else datetime.combine(cell, time())).isoformat()}
    return cell if isinstance(cell, (str, float, bool)) else str(cell)


def _from_json(cell: Any) -> Any:
    if isinstance(cell, dict):
        return time.fromisoformat(cell["time"]) if "time" in cell else datetime.fromisoformat(cell["datetime"])
    return None if cell == "" else cell


_SHEET = re.compile(rb"<(?:\w+:)?sheet\s[^>]*?\br:id=[\"']([^\"']+)")
_RELATION = re.compile(rb"<(?:\w+:)?Relationship\s[^>]*>")
_ERROR_CELL = re.compile(
    rb'<(?:\w+:)?c\s(?=[^>]*\bt="e")[^>]*?\br="([A-Z]+)(\d+)"[^>]*>(?:(?!</(?:\w+:)?c>).)*?<(?:\w+:)?v>([^<]*)<',
    re.DOTALL,
)
_CHUNK = 1 << 22


def _error_cells(path: Path, index: int) -> dict[int, dict[int, str]]:
    """Row -> column -> error code (``#N/A``): calamine reads these as empty cells."""
    errors: dict[int, dict[int, str]] = {}
    with zipfile.ZipFile(path) as archive:
        part = _sheet_part(archive, index)
        if part is None:
            return errors
        with archive.open(part) as stream:
            rest = b""
            while block := stream.read(_CHUNK):
                block = rest + block
                last = block.rfind(b"<c ")  # may continue in the next block
                _note_errors(block[:last], errors)
                rest = block[last:]
            _note_errors(rest, errors)
    return errors


def _note_errors(xml: bytes, errors: dict[int, dict[int, str]]) -> None:
    if b't="e"' not in xml:
        return
    for letters, row, code in _ERROR_CELL.findall(xml):
        column = 0
        for letter in letters:
            column = column * 26 + letter - 64
        errors.setdefault(int(row), {})[column - 1] = code.decode("utf-8", "replace")


def _sheet_part(archive: zipfile.ZipFile, index: int) -> str | None:
    identity = _SHEET.findall(archive.read("xl/workbook.xml"))[index]
    for relation in _RELATION.findall(archive.read("xl/_rels/workbook.xml.rels")):
        if re.search(rb"\bId=[\"']" + re.escape(identity) + rb"[\"']", relation):
            target = re.search(rb"\bTarget=[\"']([^\"']+)", relation)
            return None if target is None else "/".join(_resolve(target[1].decode()))
    return None


def _resolve(target: str) -> list[str]:
    return target.strip("/").split("/") if target.startswith("/") else ["xl", *target.split("/")]


def _with_errors(rows: Iterator[list[Any]], errors: dict[int, dict[int, str]]) -> Iterator[list[Any]]:
    for number, row in enumerate(rows, start=1):
        for column, code in errors.get(number, {}).items():
            row[column] = code
        yield row


def main(folder: Path, signatures: list[list[str]] | None, budget: WorkbookBudget) -> int:
    """Convert ``folder/workbook``; returns the exit code."""
    resource.setrlimit(resource.RLIMIT_AS, (budget.memory_mb << 20,) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (budget.seconds,) * 2)  # limits the process even after its parent has died
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        _convert(folder, signatures, budget)
    except _SheetTooLargeError as error:
        problem = (_TOO_LARGE, str(error))
    except MemoryError:
        problem = (_TOO_LARGE, f"needs more than {budget.memory_mb} MB of memory")
    except Exception as error:  # noqa: BLE001 - a damaged file can fail in any way
        problem = (_DAMAGED, str(error) or type(error).__name__)
    else:
        return 0
    (folder / "error").write_text(json.dumps(problem), encoding="utf-8")
    return _REFUSED


if __name__ == "__main__":
    _signatures, _budget = json.loads(sys.argv[2])
    sys.exit(main(Path(sys.argv[1]), _signatures, WorkbookBudget(**_budget)))
