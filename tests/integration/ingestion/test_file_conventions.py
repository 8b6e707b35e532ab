"""Files that people and programs wrote otherwise than the publisher: read as their official twin, or refused in words.

Each base is a small file in the official layout; each case is the base, changed as spreadsheets, R, pandas and people
change files. Nothing may be read differently without a word.
"""

from __future__ import annotations

import re
import resource
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.workbooks import read_by_ingest, write_workbook
from services.core import use_case_registry
from services.core.contract.use_case import Finding
from services.core.errors import VigieError
from services.core.raw_files.ingest_report import IngestResult
from services.core.raw_files.reader import read_files

Frames = dict[str, pd.DataFrame]
Change = Callable[[Frames], None]

N = 24


def _frame(columns: str, rows: list[list[object]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=columns.split(","), dtype="str")


_PEOPLE = "Num_Acc,id_usager,id_vehicule,catu,grav"


def _accidents(year: int, places: list[tuple[object, object, str, str]]) -> Frames:
    """``places``: department, commune, latitude and longitude as the file writes them."""
    ids = [f"{year}000009{number:02d}" for number in range(N)]
    old = year < 2019
    times = [f"{number * 53 % 1440 // 60:02d}:{number * 53 % 1440 % 60:02d}" for number in range(N)]
    times = [str(int(time.replace(":", ""))) for time in times] if old else times
    heads = [
        [name, year % 100 if old else year, number % 12 + 1, number % 28 + 1, times[number], 1, 1 + number % 2, 1,
         1 + number % 7, *places[number % len(places)]]
        for number, name in enumerate(ids)
    ]  # fmt: skip
    return {
        "caracteristiques": _frame("Num_Acc,an,mois,jour,hrmn,lum,agg,atm,col,dep,com,lat,long", heads),
        "lieux": _frame(
            "Num_Acc,catr,voie,circ,surf,prof,plan,infra,situ,vma", [[n, 3, 39, 2, 1, 1, 1, 0, 1, 80] for n in ids]
        ),
        "vehicules": _frame(
            "Num_Acc,id_vehicule,catv,obs,obsm", [[n, f"1{n[-2:]} 10{k}", 7, 0, 2] for n in ids for k in "12"]
        ),
        "usagers": _frame(
            _PEOPLE, [[n, f"2{n[-2:]} 20{k}", f"1{n[-2:]} 10{k}", 1, "13"[k == "1"]] for n in ids for k in "12"]
        ),
    }


def _new() -> Frames:
    return _accidents(
        2021, [("59", "59350", "50,6325931", "3,0522062"), ("33", "33063", "44,8422500", "-0,5818735"),
               ("01", "01004", "45,9580000", "5,3500000"), ("972", "97209", "14,6246900", "-61,0038200")],
    )  # fmt: skip


def _old() -> Frames:
    return _accidents(
        2015, [("590", "350", "5063259", "305221"), ("130", "55", "4328446", "553634"),
               ("10", "4", "4595800", "535000"), ("201", "4", "4192700", "873700")],
    )  # fmt: skip


def _fire() -> Frames:
    days = [f"2023-{number % 2 + 1:02d}-{number % 11 + 2:02d}" for number in range(N)]
    times = [f"{number:02d}:{number * 7 % 60:02d}:{number * 13 % 60:02d}" for number in range(N)]
    numbers = [f"0001{k:02d}-{day[8:]}{day[5:7]}{day[:4]}" for k, day in enumerate(days)]
    rows = [
        [numbers[k], days[k], days[k][:4], times[k], k, ("Fire", "False Alarm", "Special Service")[k % 3], "Dwelling",
         "House - single occupancy ", "525350", "174550", "SUTTON", "London", "Wandsworth", f"{200 + 7 * k}.0",
         "Battersea", f"{300 + 5 * k}.0" if k % 2 else "", "Sutton" if k % 2 else "", "1.0", "60"]
        for k in range(N)
    ]  # fmt: skip
    names = (
        "IncidentNumber,DateOfCall,CalYear,TimeOfCall,HourOfCall,IncidentGroup,PropertyCategory,PropertyType,"
        "Easting_rounded,Northing_rounded,IncGeo_BoroughName,FRS,IncidentStationGround,"
        "FirstPumpArriving_AttendanceTime,FirstPumpArriving_DeployedFromStation,SecondPumpArriving_AttendanceTime,"
        "SecondPumpArriving_DeployedFromStation,NumPumpsAttending,PumpMinutesRounded"
    )
    return {"incidents": _frame(names, rows)}


def _rain() -> Frames:
    names = "Date,Location,MinTemp,MaxTemp,Rainfall,WindGustDir,WindGustSpeed,Humidity3pm,RainTomorrow"
    rows: list[list[object]] = [
        [f"2016-01-{k + 1:02d}", "Sydney", 17.5 + k / 10, 25.5 + k / 10, f"{k % 3}.4", "ESE", 40 + k, 60, "YN"[k % 2]]
        for k in range(N)
    ]
    frame = _frame(names, rows)
    return {"weatherAUS": frame.assign(RainTomorrow=frame["RainTomorrow"].map({"Y": "Yes", "N": "No"}))}


def _wine() -> Frames:
    names = (
        "fixed acidity,volatile acidity,citric acid,residual sugar,chlorides,free sulfur dioxide,"
        "total sulfur dioxide,density,pH,sulphates,alcohol,quality"
    )
    rows = [[7 + k / 10, 0.5, 0.25, 1.9, 0.076, 11, 34, f"0.99{70 + k}", 3.51, 0.56, 9.4, 5 + k % 2] for k in range(N)]
    return {"winequality-red": _frame(names, rows)}


BASES: Mapping[str, tuple[str, Callable[[], Frames], str]] = {
    "new": ("road_accidents", _new, ";"),
    "old": ("road_accidents", _old, ","),
    "fire": ("fire_response", _fire, ","),
    "rain": ("rain_tomorrow", _rain, ","),
    "wine": ("wine_quality", _wine, ";"),
}


def ingested(
    folder: Path, base: str, change: Change = lambda _: None, edit: Callable[[str], str] = str
) -> IngestResult:
    use_case, frames_of, delimiter = BASES[base]
    frames = frames_of()
    change(frames)
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in frames.items():
        (folder / f"{name}.csv").write_text(edit(frame.to_csv(sep=delimiter, index=False)), encoding="utf-8")
    return read_files(use_case_registry.get(use_case), [("drop", folder)])


def each(table: str, column: str, spell: Callable[[str], str]) -> Change:
    """Write every value of the column otherwise."""

    def change(frames: Frames) -> None:
        frames[table][column] = frames[table][column].map(spell).astype("str")

    return change


def all_tables(column: str, spell: Callable[[str], str]) -> Change:
    def change(frames: Frames) -> None:
        for frame in frames.values():
            if column in frame:
                frame[column] = frame[column].map(spell).astype("str")

    return change


def columns(spell: Callable[[str], str]) -> Change:
    def change(frames: Frames) -> None:
        for name in frames:
            frames[name] = frames[name].rename(columns=spell)

    return change


def both(*changes: Change) -> Change:
    def change(frames: Frames) -> None:
        for one in changes:
            one(frames)

    return change


def everywhere(written: str, instead: str) -> Change:
    def change(frames: Frames) -> None:
        for name in frames:
            frames[name] = frames[name].replace({written: instead})

    return change


def _month_first(day: str) -> str:
    return f"{int(day[5:7])}/{int(day[8:])}/{day[:4]}"


def _day_first(day: str) -> str:
    return f"{day[8:]}/{day[5:7]}/{day[:4]}"


def _serial(day: str) -> str:
    return str((pd.Timestamp(day) - pd.Timestamp("1899-12-30")).days)


def _scaled(value: str) -> str:
    return f"{float(value.replace(',', '.')) * 1e5:.2f}"


def _thousands(seconds: str) -> str:
    return f"1,{int(float(seconds)):03d}.0"


def _other_day(day: str) -> str:
    return f"{day[:4]}-{day[5:7]}-{(int(day[8:]) + 12) % 28 + 1:02d}"


def _decimal_comma(frames: Frames) -> None:
    for frame in frames.values():
        for column in frame:
            frame[column] = frame[column].str.replace(r"^(-?\d+)\.(\d+)$", r"\1,\2", regex=True)


def _empty_rows(text: str) -> str:
    width = text.splitlines()[0].count(";")
    return text + (";" * width + "\n") * 40


EQUAL: list[tuple[str, str, Change, Callable[[str], str]]] = [
    ("new", "identifiers as decimals", all_tables("Num_Acc", "{}.0".format), str),
    ("new", "identifiers with blanks", all_tables("Num_Acc", lambda n: f"{n[:4]} {n[4:]}"), str),
    ("new", "departments as decimals", each("caracteristiques", "dep", lambda d: f"{int(d)}.0"), str),
    ("new", "departments without zeros", each("caracteristiques", "dep", lambda d: str(int(d))), str),
    ("new", "communes without zeros", each("caracteristiques", "com", lambda c: str(int(c))), str),
    ("new", "departments as before 2019", each("caracteristiques", "dep", lambda d: d if len(d) > 2 else d + "0"), str),
    ("new", "times without colon", each("caracteristiques", "hrmn", lambda h: str(int(h.replace(":", "")))), str),
    ("new", "times in halves of a day", each("caracteristiques", "hrmn", lambda h: f"{pd.Timestamp(h):%I:%M %p}"), str),
    ("new", "times with seconds", each("caracteristiques", "hrmn", "{}:00".format), str),
    ("new", "times as parts of a day", each(
        "caracteristiques", "hrmn", lambda h: f"{pd.Timedelta(h + ':00') / pd.Timedelta(days=1):.9f}"), str),
    ("new", "decimal points", each("caracteristiques", "lat", lambda v: v.replace(",", ".")), str),
    ("new", "scaled degrees", both(*(each("caracteristiques", name, _scaled) for name in ("lat", "long"))), str),
    ("new", "four digits of a year and codes as decimals", both(
        each("caracteristiques", "an", "{}.0".format), each("usagers", "grav", "{},0".format)), str),
    ("new", "small letters", columns(str.lower), str),
    ("new", "names with blanks and dots", columns(lambda name: f" {name.replace('_', '.').upper()} "), str),
    ("new", "titles above the header", lambda _: None, "Accidents corporels;;\nSource : ONISR;;\n\n{}".format),
    ("new", "empty rows at the end", lambda _: None, _empty_rows),
    ("new", "a bar between fields", lambda _: None, lambda text: text.replace(";", "|")),
    ("new", "lines in quotes as a whole", lambda _: None, lambda text: re.sub(r"(?m)^(.+)$", r'"\1"', text)),
    ("old", "degrees", both(*(each(
        "caracteristiques", name, lambda v: f"{int(v) / 1e5:.5f}") for name in ("lat", "long"))), str),
    ("old", "departments as decimals", each("caracteristiques", "dep", "{}.0".format), str),
    ("old", "departments of today", each("caracteristiques", "dep", lambda d: {"201": "2A"}.get(d, d[:-1])), str),
    ("old", "communes in full", each("caracteristiques", "com", lambda c: {
        "350": "59350", "55": "13055", "4": "4"}[c]), str),
    ("old", "years in full", each("caracteristiques", "an", "20{}".format), str),
    ("old", "times with colon", each("caracteristiques", "hrmn", lambda h: f"{h.zfill(4)[:2]}:{h.zfill(4)[2:]}"), str),
    ("fire", "ISO with a time", each("incidents", "DateOfCall", "{}T00:00:00".format), str),
    ("fire", "a time with fractions", each("incidents", "DateOfCall", "{} 00:00:00.000".format), str),
    ("fire", "slashes, year first", each("incidents", "DateOfCall", lambda d: d.replace("-", "/")), str),
    ("fire", "day before month", each("incidents", "DateOfCall", _day_first), str),
    ("fire", "month before day", each("incidents", "DateOfCall", _month_first), str),
    ("fire", "a month's name", each("incidents", "DateOfCall", lambda d: f"{pd.Timestamp(d):%d-%b-%y}"), str),
    ("fire", "days of a spreadsheet", each("incidents", "DateOfCall", _serial), str),
    ("fire", "times that have a date", each("incidents", "TimeOfCall", "1899-12-30 {}".format), str),
    ("fire", "NULL", everywhere("", "NULL"), str),
    ("fire", "NA", everywhere("", "NA"), str),
    ("fire", "None", everywhere("", "None"), str),
    ("fire", "decimal commas", _decimal_comma, str),
    ("fire", "capital letters", columns(str.upper), str),
    ("fire", "hours as decimals", each("incidents", "HourOfCall", "{}.0".format), str),
    ("fire", "words in capital letters", each("incidents", "IncidentGroup", str.upper), str),
    ("rain", "labels as digits", each("weatherAUS", "RainTomorrow", {"Yes": "1", "No": "0"}.__getitem__), str),
    ("rain", "labels as truth", each("weatherAUS", "RainTomorrow", {"Yes": "True", "No": "False"}.__getitem__), str),
    ("rain", "labels in French", each("weatherAUS", "RainTomorrow", {"Yes": "oui", "No": "non"}.__getitem__), str),
    ("rain", "labels as decimals", each("weatherAUS", "RainTomorrow", {"Yes": "1.0", "No": "0.0"}.__getitem__), str),
    ("rain", "day before month", each("weatherAUS", "Date", _day_first), str),
    ("rain", "decimal commas", _decimal_comma, str),
    ("wine", "decimal commas", _decimal_comma, str),
    ("wine", "blanks after commas", lambda _: None, lambda text: text.replace(";", ", ")),
    ("wine", "the header in one cell", lambda _: None, lambda text: '"{}"\n{}'.format(*text.split("\n", 1))),
    ("wine", "underscores", columns(lambda name: name.replace(" ", "_")), str),
    ("wine", "dots, as R writes names", columns(lambda name: name.replace(" ", ".")), str),
    ("wine", "a column Type", lambda frames: frames["winequality-red"].insert(0, "Type", "Red"), str),
]  # fmt: skip


@pytest.mark.parametrize(("base", "change", "edit"), [case[::2] + case[3:] for case in EQUAL], ids=[
    f"{base}: {name}" for base, name, *_ in EQUAL])  # fmt: skip
def test_it_is_read_as_its_official_twin(tmp_path: Path, base: str, change: Change, edit: Callable[[str], str]) -> None:
    official, other = ingested(tmp_path / "official", base), ingested(tmp_path / "other", base, change, edit)
    assert official.tables.keys() == other.tables.keys()
    assert not sum(report.quarantined for report in other.reports)
    for name, table in official.tables.items():
        pd.testing.assert_frame_equal(other.tables[name], table)


def _without_sign(frames: Frames) -> None:
    frames["caracteristiques"]["long"] = frames["caracteristiques"]["long"].str.removeprefix("-")


REFUSED: list[tuple[str, str, Change, str]] = [
    ("new", "rounded by a spreadsheet", all_tables("Num_Acc", lambda n: f"{n[0]},{n[1:4]}E+11"),
     "rounded by a spreadsheet.*line 2 in the column Num_Acc: '2,021E\\+11'"),
    ("fire", "days that nothing tells", both(
        each("incidents", "DateOfCall", _month_first), each("incidents", "IncidentNumber", lambda n: n[:6])),
     "DateOfCall is not a date.*'1/2/2023'"),
    ("fire", "the hour cut off", each("incidents", "TimeOfCall", lambda t: t[3:]), "TimeOfCall is not"),
    ("fire", "thousands between points", each("incidents", "FirstPumpArriving_AttendanceTime", _thousands),
     "not a number of seconds"),
    ("fire", "day and month turned round", each("incidents", "DateOfCall", _other_day), "is not a date"),
    ("wine", "no colour", lambda frames: frames.update(wines=frames.pop("winequality-red")), "says red or white"),
    ("rain", "short years", each("weatherAUS", "Date", lambda d: f"{d[8:]}-{d[5:7]}-{d[2:4]}"), "Date is not a date"),
]  # fmt: skip


@pytest.mark.parametrize(("base", "change", "words"), [case[::2] + case[3:] for case in REFUSED], ids=[
    f"{base}: {name}" for base, name, *_ in REFUSED])  # fmt: skip
def test_it_is_refused_with_line_column_and_value(tmp_path: Path, base: str, change: Change, words: str) -> None:
    with pytest.raises(VigieError) as refused:
        ingested(tmp_path, base, change)
    assert re.search(words, str(refused.value))
    assert re.search(r"first on line \d+", str(refused.value))
    assert "Nothing was changed" in str(refused.value)


def _findings(result: IngestResult, kind: str) -> list[Finding]:
    return [finding for report in result.reports for finding in report.findings if finding.kind == kind]


def test_overseas_places_without_their_sign_get_it_and_the_report_says_so(tmp_path: Path) -> None:
    def overseas(frames: Frames) -> None:
        frames["caracteristiques"].loc[:11, ["dep", "com", "lat", "long"]] = ["972", "213", "1462469", "6100382"]
        frames["caracteristiques"].loc[12:, ["dep", "com", "lat", "long"]] = ["974", "409", "2097262", "5567743"]

    result = ingested(tmp_path, "old", overseas)
    rows = result.tables["caracteristiques"]
    assert sorted(set(rows["longitude"])) == [-61.00382, 55.67743]
    assert sorted(set(rows["latitude"])) == [-20.97262, 14.62469]
    assert sum("sign" in finding.text for finding in _findings(result, "convention")) == 2


def test_what_is_lost_is_counted_with_line_and_value(tmp_path: Path) -> None:
    def change(frames: Frames) -> None:
        frames["caracteristiques"].loc[3, "lat"] = "50,0"
        frames["lieux"].loc[5, "vma"] = "900"
        frames["caracteristiques"].loc[7, "dep"] = "99"

    lost = {(f.column, f.rows, f.line, f.value) for f in _findings(ingested(tmp_path, "new", change), "lost")}
    assert ("vma", 1, 7, "900") in lost
    assert ("dep", 1, 9, "99") in lost
    assert any(column == "latitude, longitude" and line == 5 for column, _, line, _ in lost)


def test_a_column_whose_values_mostly_do_not_parse_gets_a_word(tmp_path: Path) -> None:
    result = ingested(tmp_path, "rain", each("weatherAUS", "MinTemp", "about {}".format))
    assert any("most values are not" in f.text and f.column == "MinTemp" for f in _findings(result, "warning"))


def test_incidents_and_their_mobilisations_meet_whatever_the_number_looks_like(tmp_path: Path) -> None:
    def change(frames: Frames) -> None:
        incidents = frames["incidents"]
        numbers = [f"1230{k:02d}091" for k in range(N)]
        frames["incidents"] = incidents.assign(IncidentNumber=[f"{number}.00" for number in numbers])
        moments = incidents["DateOfCall"] + " " + incidents["TimeOfCall"]
        rows = [[n, k, moments[k], 60, 120, 180, "Sutton", 1] for k, n in enumerate(numbers)]
        names = (
            "IncidentNumber,ResourceMobilisationId,DateAndTimeMobilised,TurnoutTimeSeconds,TravelTimeSeconds,"
            "AttendanceTimeSeconds,DeployedFromStation_Name,PumpOrder"
        )
        frames["mobilisations"] = _frame(names, rows)

    tables = ingested(tmp_path, "fire", change).tables
    assert set(tables["incidents"]["incident_id"]) == set(tables["mobilisations"]["incident_id"])
    examples = use_case_registry.get("fire_response").raw.build_examples(tables)
    assert (examples["attendance_seconds"] == 180).sum() == N


@pytest.mark.parametrize(
    ("name", "colour"),
    [("winequality-whiteALL.csv", "white"), ("whitewine_quality.csv", "white"), ("Red_wines.csv", "red"),
     ("wineQualityRed.csv", "red")],
)  # fmt: skip
def test_the_colour_in_a_files_name_however_it_is_joined(tmp_path: Path, name: str, colour: str) -> None:
    (tmp_path / name).write_text(_wine()["winequality-red"].to_csv(index=False))
    tables = read_files(use_case_registry.get("wine_quality"), [("drop", tmp_path)]).tables
    assert set(tables["wines"]["colour"]) == {colour}


@pytest.mark.parametrize("name", ["quality-redacted.csv", "red-and-white.csv", "coloured.csv"])
def test_a_name_that_says_no_colour_or_both_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(_wine()["winequality-red"].to_csv(index=False))
    with pytest.raises(VigieError, match="red or white"):
        read_files(use_case_registry.get("wine_quality"), [("drop", tmp_path)])


def test_a_workbook_costs_little_processor_time_a_row(tmp_path: Path) -> None:
    """0.15 ms a row is what a centre's whole file may cost; the import of the libraries is not the workbook's."""
    write_workbook(tmp_path / "few.xlsx", 100)
    write_workbook(tmp_path / "many.xlsx", 4_000)
    read_by_ingest(tmp_path / "few.xlsx")
    seconds = []
    for name in ("few", "many"):
        began = _processor_seconds()
        rows = read_by_ingest(tmp_path / f"{name}.xlsx")
        seconds.append(_processor_seconds() - began)
    assert (seconds[1] - seconds[0]) / rows < 0.15e-3


def _processor_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)
