"""Writes the table of layouts in docs/data.md from the declarations: ``python -m tests.layout_table``."""

from __future__ import annotations

from collections.abc import Iterator

from services.core import use_case_registry
from services.core.contract.tables import Column, Plausible, Table
from services.core.raw_files.values import MISSING, TRUTH
from services.core.settings import CHECKOUT

DOCUMENT = CHECKOUT / "docs" / "data.md"
BEGIN, END = "<!-- layouts: written by python -m tests.layout_table -->", "<!-- end of layouts -->"

KINDS = {
    "text": "blanks at the edges mean nothing",
    "identifier": "`123000091`, `123000091.0`, `123 000 091`; rounded by a spreadsheet (`2,019E+11`) it is refused",
    "number": "decimal comma or point, decided on the file; blanks between thousands",
    "code": "a number with or without a fraction of zero, or a word in small or capital letters",
    "truth": ", ".join(f"`{word}`" for word in TRUTH),
    "date": "`2023-03-19`, also with a time; `19/03/2023` or `3/19/2023`, decided on all rows of the file and on what "
    "other columns say of the day; a spreadsheet's count of days",
    "clock": "`14:11`, `14:11:05`, `2:11 PM`, `1411`, a part of a day (`0.5`), decided on all rows of the file",
    "moment": "a date and a time as above",
}


def layouts() -> str:
    """The text between the two marks."""
    return "\n".join(["", *_kinds(), *(line for lines in _tables() for line in lines), ""])


def _kinds() -> Iterator[str]:
    words = ", ".join(f"`{word}`" for word in sorted(MISSING - {""}))
    yield f"In every column an empty cell and {words} (in small or capital letters) are a missing value."
    yield ""
    yield "| kind | how it may be written |"
    yield "|---|---|"
    for kind, text in KINDS.items():
        yield f"| {kind} | {text} |"


def _tables() -> Iterator[Iterator[str]]:
    for use_case in use_case_registry.list_use_cases():
        for table in use_case.data.tables:
            yield _table(use_case.name, table)


def _table(use_case: str, table: Table) -> Iterator[str]:
    yield ""
    signature = ", ".join(f"`{name}`" for name in table.header_signature)
    known = f"recognised by the columns {signature}" if signature else f"files called `{table.image_name_pattern}`"
    yield f"**`{use_case}`: {table.name}** ({'optional; ' if table.optional else ''}{known})"
    if table.columns:
        yield ""
        yield "| column of the file | kind | what it may hold | the rest |"
        yield "|---|---|---|---|"
        for column in table.columns:
            yield f"| {_names(column)} | {column.kind} | {_limits(column)} | {_rest(column)} |"
    for line in _checks(table):
        yield ""
        yield line


def _names(column: Column) -> str:
    return " or ".join(f"`{name}`" if name else "(without a name)" for name in column.sources)


def _limits(column: Column) -> str:
    parts = [column.expected] if column.expected else []
    bounds = (f"from {column.low:g}" if column.low > float("-inf") else "") + (
        f" to {column.high:g}" if column.high < float("inf") else ""
    )
    parts += [bounds.strip()] if bounds and not column.expected else []
    parts += ["whole numbers"] if column.whole and not column.expected else []
    parts += [f"{len(column.meaning)} codes"] if column.meaning else []
    parts += ["missing: " + ", ".join(f"`{word}`" for word in column.missing)] if column.missing else []
    parts += [f"`{old}` is `{new}`" for old, new in column.replaced.items()]
    parts += [f"checked against {', '.join(f'`{name}`' for name in column.said_by)}"] if column.said_by else []
    parts += [f"one or two digits are {column.digits}"] if column.digits else []
    return "; ".join(parts).replace("|", "\\|")


def _rest(column: Column) -> str:
    rest = "missing, counted in the report"
    if column.strict or column.needed:
        rest = "the row goes to quarantine" + (", an empty one too" if column.needed else "")
    return rest + ("; the column may be absent" if column.optional else "")


def _checks(table: Table) -> Iterator[str]:
    for join in table.joins:
        what = "of no use, and too many are refused" if join.lost_if_unknown else "reported"
        where = ", within the time that it covers" if join.within else ""
        yield f"Rows whose `{join.column}` {join.table} does not know{where} are {what}."
        if join.lost_if_absent:
            yield f"Those of {join.table} that {table.name} does not know likewise."
    if table.plausible:
        said = "; ".join(f"`{item.column}`{_possible(item)}" for item in table.plausible)
        yield f"A person has to confirm a file in which these are not possible or not as in the files before: {said}."


def _possible(item: Plausible) -> str:
    shares = [
        f"{item.meaning.get(value, value if isinstance(value, str) else f'{value:g}')} {low:.0%} to {high:.0%}"
        for value, (low, high) in item.shares.items()
    ]
    if item.median is not None:
        shares.append(f"median {item.median[0]:g} to {item.median[1]:g}")
    return f" ({', '.join(shares)})" if shares else ""


def updated(text: str) -> str:
    """The document with the table as the declarations are now."""
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}{layouts()}{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    DOCUMENT.write_text(updated(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
