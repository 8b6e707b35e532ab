"""What spreadsheets, statistics programs, browsers and people do to files: each kind changes one thing, seeded."""

from __future__ import annotations

import csv
import random
import re
from collections.abc import Callable, Mapping

from tests.mutations.bases import Files, Sheet

_NUMBER = re.compile(r"-?\d+")
_DECIMAL = re.compile(r"-?\d+[.,]\d+")
_ISO_DAY = re.compile(r"(\d{4})-(\d{2})-(\d{2})")


def _pick(random_: random.Random, files: Files) -> Sheet:
    return files[random_.choice(sorted(files))]


def _columns(sheet: Sheet, pattern: re.Pattern[str]) -> list[str]:
    """Columns of which every value is blank or of the pattern, and some are not blank."""
    found = []
    for name in dict.fromkeys(sheet.header):
        values = [value.strip() for value in sheet.column(name) if value.strip()]
        if values and all(pattern.fullmatch(value) for value in values):
            found.append(name)
    return found


# --- values -----------------------------------------------------------------------------------------


def whole_numbers_as_decimals(random_: random.Random, files: Files) -> None:
    sheet = _pick(random_, files)
    for name in random_.sample(fitting := _columns(sheet, _NUMBER), min(2, len(fitting))):
        sheet.replace(name, [f"{value.strip()}.0" if value.strip() else "" for value in sheet.column(name)])


def other_decimal_mark(random_: random.Random, files: Files) -> None:
    for sheet in files.values():
        old, new = (",", ".") if sheet.delimiter == ";" else (".", ",")
        for name in _columns(sheet, _DECIMAL):
            sheet.replace(name, [value.replace(old, new) for value in sheet.column(name)])


def missing_as_a_word(random_: random.Random, files: Files) -> None:
    sheet, word = _pick(random_, files), random_.choice(["NA", "N/A", "NaN", "nan", "NULL", "null", "None", "-", "."])
    for name in sheet.header:
        if name:
            sheet.replace(name, [value if value.strip() else word for value in sheet.column(name)])


def blanks_around_values(random_: random.Random, files: Files) -> None:
    sheet, blank = _pick(random_, files), random_.choice([" ", "  ", "\u00a0"])
    name = random_.choice([name for name in sheet.header if name])
    sheet.replace(name, [f"{blank}{value}{blank}" for value in sheet.column(name)])


def rounded_by_a_spreadsheet(random_: random.Random, files: Files) -> None:
    sheet = _pick(random_, files)
    long = [name for name in _columns(sheet, _NUMBER) if max(map(len, sheet.column(name))) >= 12]
    for name in long[:1]:
        sheet.replace(name, [f"{float(value):.3E}".replace(".", ",") for value in sheet.column(name)])


def dates_with_a_time(random_: random.Random, files: Files) -> None:
    end = random_.choice(["T00:00:00", " 00:00:00", " 00:00:00.000"])
    for sheet in files.values():
        for name in _columns(sheet, _ISO_DAY):
            sheet.replace(name, [value + end if value else "" for value in sheet.column(name)])


def days_first(random_: random.Random, files: Files) -> None:
    form = random_.choice([r"\3/\2/\1", r"\3-\2-\1", r"\1/\2/\3"])
    for sheet in files.values():
        for name in _columns(sheet, _ISO_DAY):
            sheet.replace(name, [_ISO_DAY.sub(form, value) for value in sheet.column(name)])


def times_without_leading_zeros(random_: random.Random, files: Files) -> None:
    for sheet in files.values():
        for name in _columns(sheet, re.compile(r"\d{1,2}:\d{2}(:\d{2})?")):
            sheet.replace(name, [value.removeprefix("0") for value in sheet.column(name)])


def garbage_in_a_cell(random_: random.Random, files: Files) -> None:
    """Among numbers: of a text nobody can know that it means nothing."""
    sheet = _pick(random_, files)
    names = _columns(sheet, _NUMBER) + _columns(sheet, _DECIMAL)
    row, place = random_.choice(sheet.rows), sheet.header.index(random_.choice(names or sheet.header[:1]))
    row[min(place, len(row) - 1)] = random_.choice(["#REF!", "???", "1e999", "x\0y"])


def another_code_for_severity(random_: random.Random, files: Files) -> None:
    for sheet in files.values():
        if "grav" in sheet.header:
            recoded = {"1": "1", "2": "4", "3": "3", "4": "2"}
            sheet.replace("grav", [recoded.get(value.strip(), value) for value in sheet.column("grav")])


# --- headers and layout -----------------------------------------------------------------------------


def other_letters_in_the_header(random_: random.Random, files: Files) -> None:
    change = random_.choice([str.lower, str.upper, str.title, lambda name: name.replace(" ", "_")])
    sheet = _pick(random_, files)
    sheet.header = [change(name) for name in sheet.header]


def blanks_in_the_header(random_: random.Random, files: Files) -> None:
    sheet = _pick(random_, files)
    sheet.header = [f" {name} " if name else name for name in sheet.header]


def columns_in_another_order(random_: random.Random, files: Files) -> None:
    sheet = _pick(random_, files)
    order = random_.sample(range(len(sheet.header)), len(sheet.header))
    sheet.header = [sheet.header[place] for place in order]
    sheet.rows = [[row[place] for place in order if place < len(row)] for row in sheet.rows]


def lines_above_the_header(random_: random.Random, files: Files) -> None:
    sheet = _pick(random_, files)
    sheet.above = [*random_.choice([["Export of 12 May"], ["Title", ""], ["a", "b", "c"]]), *sheet.above]


def a_column_more(random_: random.Random, files: Files) -> None:
    sheet = _pick(random_, files)
    sheet.header = [*sheet.header, "remark"]
    sheet.rows = [[*row, random_.choice(["", "checked"])] for row in sheet.rows]


def a_column_less(random_: random.Random, files: Files) -> None:
    sheet = _pick(random_, files)
    place = random_.randrange(len(sheet.header))
    sheet.header = sheet.header[:place] + sheet.header[place + 1 :]
    sheet.rows = [row[:place] + row[place + 1 :] for row in sheet.rows]


def two_columns_of_one_name(random_: random.Random, files: Files) -> None:
    sheet = _pick(random_, files)
    place = random_.randrange(len(sheet.header))
    sheet.header = [*sheet.header, sheet.header[place]]
    sheet.rows = [[*row, "0"] for row in sheet.rows]


# --- encodings and separators -----------------------------------------------------------------------


def another_encoding(random_: random.Random, files: Files) -> None:
    _pick(random_, files).encoding = random_.choice(["utf-8-sig", "utf-16", "cp1252", "latin-1"])


def another_separator(random_: random.Random, files: Files) -> None:
    _pick(random_, files).delimiter = random_.choice([",", ";", "\t", "|"])


def everything_quoted(random_: random.Random, files: Files) -> None:
    _pick(random_, files).quoting = csv.QUOTE_ALL


def blank_after_the_separator(random_: random.Random, files: Files) -> None:
    sheet = _pick(random_, files)
    if not any(sheet.delimiter in value or '"' in value for row in [sheet.header, *sheet.rows] for value in row):
        sheet.edit.append(lambda text: text.replace(sheet.delimiter, f"{sheet.delimiter} "))


def line_ends_of_another_system(random_: random.Random, files: Files) -> None:
    _pick(random_, files).newline = "\r\n"


# --- rows -------------------------------------------------------------------------------------------


def rows_of_nothing_at_the_end(random_: random.Random, files: Files) -> None:
    sheet = _pick(random_, files)
    sheet.rows += [[""] * len(sheet.header) for _ in range(random_.randint(1, 9))]


def a_row_of_another_width(random_: random.Random, files: Files) -> None:
    sheet = _pick(random_, files)
    place = random_.randrange(len(sheet.rows))
    sheet.rows[place] = random_.choice([sheet.rows[place][:-2], [*sheet.rows[place], "x"]])


def a_row_twice(random_: random.Random, files: Files) -> None:
    sheet = _pick(random_, files)
    sheet.rows.append(list(random_.choice(sheet.rows)))


def cut_off_inside_the_last_row(random_: random.Random, files: Files) -> None:
    _pick(random_, files).cut = random_.choice([0.3, 0.6, 0.9, 0.99])


def headers_again_among_the_rows(random_: random.Random, files: Files) -> None:
    sheet = _pick(random_, files)
    sheet.rows.insert(random_.randrange(len(sheet.rows)), list(sheet.header))


# --- files and joins --------------------------------------------------------------------------------


def rows_that_one_file_lost(random_: random.Random, files: Files) -> None:
    """Of tables that belong together one loses rows; in a table by itself nobody can know."""
    joined = [name for name in sorted(files) if re.match(r"usagers|lieux|vehicules|caracteristiques", name)]
    if joined:
        sheet = files[random_.choice(joined)]
        name = next((name for name in sheet.header if name.strip().lower() == "num_acc"), sheet.header[0])
        first = sheet.rows[0][sheet.header.index(name)]
        cut = random_.randint(2, max(2, len(sheet.rows) // 2))
        sheet.rows = [row for row in sheet.rows[cut:] if row[sheet.header.index(name)] != first]


def a_file_less(random_: random.Random, files: Files) -> None:
    """Where the other files need it; any other one may be absent."""
    joined = [name for name in sorted(files) if re.match(r"usagers|lieux|vehicules|caracteristiques", name)]
    if joined:
        del files[random_.choice(joined)]


def a_page_for_a_file(random_: random.Random, files: Files) -> None:
    _pick(random_, files).edit.append(lambda _: "<!DOCTYPE html><html><body>503</body></html>")


def a_table_joined_from_two_beside(random_: random.Random, files: Files) -> None:
    if len(files) > 1:
        left, right = (files[name] for name in random_.sample(sorted(files), 2))
        rows = [[*a, *b] for a, b in zip(left.rows, right.rows, strict=False)]
        files["all in one.csv"] = Sheet([*left.header, *right.header], rows)


def a_file_in_two_parts(random_: random.Random, files: Files) -> None:
    """By whole accidents where a key may have several rows."""
    name = random_.choice(sorted(files))
    sheet = files[name]
    middle = len(sheet.rows) // 2
    while 0 < middle < len(sheet.rows) and sheet.rows[middle][0] == sheet.rows[middle - 1][0]:
        middle += 1
    part = Sheet(list(sheet.header), sheet.rows[middle:], sheet.delimiter, sheet.encoding, sheet.quoting)
    part.above = list(sheet.above)
    sheet.rows = sheet.rows[:middle]
    if part.rows:
        files["part two of " + name] = part


Kind = Callable[[random.Random, Files], None]
KINDS: Mapping[str, Kind] = {
    function.__name__: function
    for function in (
        whole_numbers_as_decimals,
        other_decimal_mark,
        missing_as_a_word,
        blanks_around_values,
        rounded_by_a_spreadsheet,
        dates_with_a_time,
        days_first,
        times_without_leading_zeros,
        garbage_in_a_cell,
        another_code_for_severity,
        other_letters_in_the_header,
        blanks_in_the_header,
        columns_in_another_order,
        lines_above_the_header,
        a_column_more,
        a_column_less,
        two_columns_of_one_name,
        another_encoding,
        another_separator,
        everything_quoted,
        blank_after_the_separator,
        line_ends_of_another_system,
        rows_of_nothing_at_the_end,
        a_row_of_another_width,
        a_row_twice,
        cut_off_inside_the_last_row,
        headers_again_among_the_rows,
        rows_that_one_file_lost,
        a_file_less,
        a_page_for_a_file,
        a_table_joined_from_two_beside,
        a_file_in_two_parts,
    )
}
"""Name -> kind, in an order that seeds rely on."""
