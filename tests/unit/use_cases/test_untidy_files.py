"""Files of the use cases that do not belong together, mean something else or are foreign: the right result of each."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from services.core import use_case_registry
from services.core.errors import VigieError
from services.core.raw_files.ingest_report import IngestResult
from services.core.raw_files.reader import read_files
from tests.mutations.bases import Files, Sheet, base

Read = Callable[[str, Files], IngestResult]
NEW, OLD = "accidents since 2019", "accidents before 2019"


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def written(use_case: str, files: Files) -> IngestResult:
        for name, sheet in files.items():
            (tmp_path / name).write_bytes(sheet.content())
        return read_files(use_case_registry.get(use_case), [("drop", tmp_path)])

    return written


def named(files: Files, part: str) -> Sheet:
    return next(sheet for name, sheet in files.items() if part in name)


def of_year(files: Files, year: str) -> Files:
    """The same accidents in another year."""
    moved = {f"{year}-{name}": sheet for name, sheet in files.items()}
    for sheet in moved.values():
        sheet.replace("Num_Acc", [year + value[4:] for value in sheet.column("Num_Acc")])
        if "an" in sheet.header:
            sheet.replace("an", [year] * len(sheet.rows))
    return moved


# --- joins and years --------------------------------------------------------------------------------


@pytest.mark.parametrize("absent", ["usagers", "vehicules", "lieux"])
def test_a_year_without_one_of_its_tables_is_refused_with_the_year(read: Read, absent: str) -> None:
    later = {name: sheet for name, sheet in of_year(base(NEW), "2024").items() if absent not in name}
    with pytest.raises(VigieError, match=rf"of accident of caracteristiques are not in {absent} \(2024: 60 of 60\)"):
        read("road_accidents", base(NEW) | later)


def test_users_of_a_year_without_its_accidents_are_refused(read: Read) -> None:
    later = {name: sheet for name, sheet in of_year(base(NEW), "2024").items() if "usagers" in name}
    with pytest.raises(VigieError, match=r"rows of usagers are not in caracteristiques \(2024: \d+ of \d+\)"):
        read("road_accidents", base(NEW) | later)


def test_two_whole_years_are_read(read: Read) -> None:
    result = read("road_accidents", base(NEW) | of_year(base(NEW), "2024"))
    assert len(result.tables["caracteristiques"]) == 120
    assert result.joins == []


def test_a_few_accidents_without_users_are_reported_and_read(read: Read) -> None:
    files = base(NEW)
    users = named(files, "usagers")
    gone = set(users.column("Num_Acc")[:1])
    users.rows = [row for row in users.rows if row[0] not in gone]
    (report,) = read("road_accidents", files).joins
    assert report.text.startswith("1 of 60 values of accident of caracteristiques are not in usagers (2023: 1 of 60)")


def test_a_table_cut_off_at_the_end_of_a_row_is_refused(read: Read) -> None:
    files = base(OLD)
    vehicles = named(files, "vehicules")
    vehicles.rows = vehicles.rows[: len(vehicles.rows) // 2]
    with pytest.raises(VigieError, match="are not in vehicules"):
        read("road_accidents", files)


def test_mobilisations_of_other_incidents_are_refused_and_those_of_other_years_are_not(read: Read) -> None:
    files = base("incidents and mobilisations")
    sent = named(files, "mobilisations")
    sent.replace("DateAndTimeMobilised", [f"2019{value[4:]}" for value in sent.column("DateAndTimeMobilised")])
    sent.replace("IncidentNumber", [f"9{value}" for value in sent.column("IncidentNumber")])
    assert len(read("fire_response", files).tables["mobilisations"]) == len(sent.rows)
    sent.replace("DateAndTimeMobilised", [f"2023{value[4:]}" for value in sent.column("DateAndTimeMobilised")])
    with pytest.raises(VigieError, match=r"rows of mobilisations are not in incidents, such as 9"):
        read("fire_response", files)


def test_row_numbers_that_titles_and_codes_do_not_share_are_no_key(read: Read) -> None:
    files = base("products and codes")
    codes = next(sheet for sheet in files.values() if "prdtypecode" in sheet.header and "" in sheet.header)
    codes.header, codes.rows = codes.header[1:], [row[1:] for row in codes.rows]
    titles = next(sheet for sheet in files.values() if "designation" in sheet.header)
    titles.replace("", [str(number) for number in range(len(titles.rows), 0, -1)])  # 1 to n, as places are
    with pytest.raises(VigieError, match="Row numbers that two files do not share are no key"):
        read("product_category", files)


def test_titles_and_codes_that_number_nothing_belong_together_by_their_place(read: Read) -> None:
    files, numbered = base("products and codes"), base("products and codes")
    for sheet in files.values():
        if "" in sheet.header:
            sheet.header, sheet.rows = sheet.header[1:], [row[1:] for row in sheet.rows]
    build = use_case_registry.get("product_category").raw.build_examples
    made = build(read("product_category", files).tables)
    assert made["category"].tolist() == build(read("product_category", numbered).tables)["category"].tolist()


# --- meaning ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", [NEW, OLD])
def test_severities_in_another_order_are_refused_with_their_share(read: Read, layout: str) -> None:
    files = base(layout)
    users = named(files, "usagers")
    recoded = {"1": "1", "4": "2", "3": "3", "2": "4"}
    users.replace("grav", [recoded.get(value.strip(), value) for value in users.column("grav")])
    with pytest.raises(VigieError, match=r"severity of usagers: 2 \(killed\) in \d+ of \d+ rows .* at most 10%"):
        read("road_accidents", files)


def test_minutes_where_seconds_are_meant_are_refused(read: Read) -> None:
    files = base("incidents and mobilisations")
    sent = named(files, "mobilisations")
    for name in ("AttendanceTimeSeconds", "TravelTimeSeconds", "TurnoutTimeSeconds"):
        if name in sent.header:
            sent.replace(name, [f"{float(value) / 60:.1f}" if value else "" for value in sent.column(name)])
    with pytest.raises(VigieError, match=r"attendance_seconds of mobilisations: .* possible are 120 to 1200"):
        read("fire_response", files)


def test_rain_on_nearly_every_day_is_refused(read: Read) -> None:
    files = base("weatherAUS")
    named(files, "weather").replace("RainTomorrow", ["Yes"] * 80)
    with pytest.raises(VigieError, match="rain tomorrow"):
        read("rain_tomorrow", files)


# --- foreign files, stations, pictures --------------------------------------------------------------


def test_a_table_joined_from_all_four_is_left_aside_and_by_itself_refused(read: Read, tmp_path: Path) -> None:
    files = base(NEW)
    joined = [
        [value for part in parts for value in part] for parts in zip(*(s.rows for s in files.values()), strict=False)
    ]
    everything = Sheet([name for sheet in files.values() for name in sheet.header], joined)
    result = read("road_accidents", files | {"synthese.csv": everything})
    assert "it looks like caracteristiques, lieux, vehicules and usagers in one" in result.ignored["synthese.csv"]
    assert len(result.tables["caracteristiques"]) == 60
    for name in files:
        (tmp_path / name).unlink()
    with pytest.raises(VigieError, match=r"synthese\.csv \(it looks like .* The official files are wanted"):
        read("road_accidents", {})


def test_a_month_of_an_unknown_station_is_left_aside_and_the_others_are_read(read: Read) -> None:
    files, other = base("monthly observations"), base("monthly observations")
    (sheet,) = other.values()
    sheet.above[0] = sheet.above[0].replace("Melbourne", "Mangalore")
    result = read("rain_tomorrow", files | {"IDCJDW3049.202306.csv": sheet})
    assert "Mangalore" in result.ignored["IDCJDW3049.202306.csv"]
    assert set(result.tables["monthly"]["station"]) == {"Melbourne"}


def test_the_bureaus_refusal_for_a_month_is_named_as_a_web_page(read: Read, tmp_path: Path) -> None:
    (tmp_path / "IDCJDW3050.202307.csv").write_text("<html><head><title>Access denied</title></head></html>")
    result = read("rain_tomorrow", base("monthly observations"))
    assert result.ignored["IDCJDW3050.202307.csv"].startswith("a web page")


def test_only_stations_that_no_model_knows_are_refused_by_name(read: Read) -> None:
    files = base("monthly observations")
    (sheet,) = files.values()
    sheet.above[0] = sheet.above[0].replace("Melbourne", "Mangalore")
    with pytest.raises(VigieError, match="Mangalore"):
        read("rain_tomorrow", files)


def test_a_notice_that_is_damaged_does_not_refuse_the_tables(read: Read, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "notice.docx", "w") as archive:
        archive.writestr("word/document.xml", "<w/>" * 900)
    (tmp_path / "notice.docx").write_bytes((tmp_path / "notice.docx").read_bytes()[:-50])
    (tmp_path / "empty.xlsx").touch()
    result = read("road_accidents", base(OLD))
    assert sorted(result.ignored) == ["empty.xlsx", "notice.docx"]
    assert len(result.tables["usagers"]) == 45


def test_that_no_picture_came_is_reported(read: Read) -> None:
    assert read("product_category", base("products and codes")).notes == [
        "No picture came: the model learns from titles and descriptions alone and answers with them."
    ]


# --- files cut off, rows twice ----------------------------------------------------------------------


def findings(result: IngestResult) -> list[str]:
    return [finding.sentence() for report in result.reports for finding in report.findings]


def test_a_file_cut_off_inside_its_last_value_is_reported_with_the_line(read: Read) -> None:
    files = base("weatherAUS")
    sheet = named(files, "weather")
    assert not any("line break" in line for line in findings(read("rain_tomorrow", files)))
    sheet.cut = 0.999
    text = "the file does not end with a line break: its last row may be cut off (first on line 81)"
    assert text in findings(read("rain_tomorrow", files))


def test_people_that_are_in_a_file_twice_word_for_word_are_reported(read: Read) -> None:
    files = base(OLD)
    users = named(files, "usagers")
    users.rows.append(list(users.rows[3]))
    assert "rows that are in the file twice, word for word (1 rows, first on line 47)" in findings(
        read("road_accidents", files)
    )
