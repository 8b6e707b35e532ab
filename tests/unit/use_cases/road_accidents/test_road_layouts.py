"""Every layout of the official tables reads to the same canonical rows."""

from __future__ import annotations

import math
from typing import Any

import pytest

HEADER_2021 = '"Num_Acc";"jour";"mois";"an";"hrmn";"lum";"dep";"com";"agg";"int";"atm";"col";"lat";"long"'


def test_layout_of_2016_reads_to_words_and_degrees(read: Any) -> None:
    row = read(
        "caracteristiques",
        """Num_Acc,an,mois,jour,hrmn,lum,agg,int,atm,col,com,adr,gps,lat,long,dep
        201600000001,16,2,1,1445,1,2,1,8,3,5,rue Sonneville,M,5051500.0,294400.0,590""",
    ).rows.iloc[0]

    assert str(row["local_time"]) == "2016-02-01 14:45:00"
    assert (row["department"], row["commune"], row["road"]) == ("59", "59005", "RUE SONNEVILLE")
    assert (row["latitude"], row["longitude"]) == (50.515, 2.944)
    assert (row["light"], row["weather"], row["collision"], row["urban"]) == ("daylight", "overcast", "side", 1.0)


def test_layout_since_2019_reads_decimal_commas_and_full_codes(read: Any) -> None:
    row = read(
        "caracteristiques",
        f"""{HEADER_2021}
        "202100000001";"30";"11";"2021";"07:32";"2";"30";"30319";"1";"1";"1";"1";"44,0389580000";"4,3480220000\"""",
    ).rows.iloc[0]

    assert str(row["local_time"]) == "2021-11-30 07:32:00"
    assert (row["department"], row["commune"]) == ("30", "30319")
    assert (row["latitude"], row["longitude"]) == (44.038958, 4.348022)
    assert (row["light"], row["collision"], row["urban"]) == ("dusk_or_dawn", "head_on", 0.0)


def test_the_accident_is_called_accident_id_in_2022(read: Any) -> None:
    checked = read(
        "caracteristiques",
        """Accident_Id;jour;mois;an;hrmn;lum;dep;com;agg;int;atm;col;adr;lat;long
        202200000001;19;10;2022;16:15;1;26;26198;2;3;1;3;TEIL(vieille route du);44,5594200000;4,7257200000""",
    )
    assert checked.rows["accident"].tolist() == ["202200000001"]


@pytest.mark.parametrize(
    ("year", "written", "clock"),
    [
        ("2021", "07:40", "07:40"),
        ("2021", "07", "07:00"),
        ("2021", "7", "07:00"),
        ("2021", "1715", "17:15"),
        ("2021", "905", "09:05"),
        ("16", "1445", "14:45"),
        ("16", "905", "09:05"),
        ("16", "15", "00:15"),
        ("16", "5", "00:05"),
        ("2021", "00:00", "00:00"),
    ],
)
def test_times_of_day_in_every_spelling(read: Any, year: str, written: str, clock: str) -> None:
    rows = read(
        "caracteristiques",
        f"""{HEADER_2021}
        "202100000001";"30";"11";"{year}";"{written}";"2";"30";"30319";"1";"1";"1";"1";"44,0";"4,3\"""",
    ).rows
    assert rows["local_time"].dt.strftime("%H:%M").tolist() == [clock]


@pytest.mark.parametrize(
    ("year", "written", "com", "department", "commune"),
    [
        ("2021", "2A", "2A004", "2A", "2A004"),
        ("2021", "971", "97101", "971", "97101"),
        ("2021", "1", "1004", "01", "01004"),
        ("16", "10", "4", "01", "01004"),
        ("16", "201", "4", "2A", "2A004"),
        ("16", "202", "33", "2B", "2B033"),
        ("16", "971", "101", "971", "97101"),
        ("16", "750", "116", "75", "75116"),
        ("2021", "-1", "", "", ""),
        ("2021", "99", "N/C", "", ""),
    ],
)
def test_departments_and_communes_of_all_years_are_the_codes_that_callers_use(
    *, read: Any, year: str, written: str, com: str, department: str, commune: str
) -> None:
    row = read(
        "caracteristiques",
        f"""{HEADER_2021}
        "202100000001";"30";"11";"{year}";"07:40";"2";"{written}";"{com}";"1";"1";"1";"1";"44,0";"4,3\"""",
    ).rows.iloc[0]
    assert (row["department"], row["commune"]) == (department, commune)


@pytest.mark.parametrize(("latitude", "longitude"), [("0", "0"), ("", "4,3"), ("440,1", "4,3"), ("x", "4,3")])
def test_a_place_that_is_not_one_is_missing_whole(read: Any, latitude: str, longitude: str) -> None:
    row = read(
        "caracteristiques",
        f"""{HEADER_2021}
        "202100000001";"30";"11";"2021";"07:40";"2";"30";"30319";"1";"1";"1";"1";"{latitude}";"{longitude}\"""",
    ).rows.iloc[0]
    assert math.isnan(row["latitude"])
    assert math.isnan(row["longitude"])


def test_minus_one_and_empty_codes_are_missing_values_and_no_faults(read: Any) -> None:
    checked = read(
        "caracteristiques",
        f"""{HEADER_2021}
        "202100000001";"30";"11";"2021";"07:40";"-1";"30";"30319";"";" -1";"-1";"42";"44,0";"4,3\"""",
    )
    row = checked.rows.iloc[0]
    assert checked.rejected.empty
    assert [row[name] for name in ("light", "intersection", "weather", "collision")] == ["", "", "", ""]
    assert math.isnan(row["urban"])


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("abc;30;11;2021;07:40", "Num_Acc is not a number of 12 digits"),
        ("202100000001;31;2;2021;07:40", "jour, mois and an are not a date"),
        ("202100000001;30;11;;07:40", "jour, mois and an are not a date"),
        ("202100000001;30;11;2021;25:10", "hrmn is not a time of day"),
        ("202100000001;30;11;2021;", "hrmn is empty"),
    ],
)
def test_rows_that_cannot_be_placed_are_refused_with_line_and_reason(read: Any, line: str, reason: str) -> None:
    checked = read(
        "caracteristiques",
        f"""Num_Acc;jour;mois;an;hrmn;lum;dep;com;agg;int;atm;col;lat;long
        202100000009;30;11;2021;07:40;1;30;30319;1;1;1;1;44,0;4,3
        {line};1;30;30319;1;1;1;1;44,0;4,3""",
    )
    assert checked.rows["accident"].tolist() == ["202100000009"]
    assert checked.rejected[["line", "reason"]].to_dict("records") == [{"line": 3, "reason": reason}]


def test_unbelievable_speed_limits_are_missing(read: Any) -> None:
    rows = read(
        "lieux",
        """Num_Acc;catr;circ;prof;plan;surf;infra;situ;vma
        202100000001;3;2;1;1;1;0;1;80
        202100000002;3;2;1;1;1;0;1;900
        202100000003;3;2;1;1;1;0;1;2
        202100000004;3;2;1;1;1;0;1;-1""",
    ).rows
    assert rows["speed_limit"].isna().tolist() == [False, True, True, True]


def test_a_bare_road_number_of_2016_gets_its_letter_from_the_category(read: Any) -> None:
    rows = read(
        "lieux", "Num_Acc,catr,voie,surf\n201600000001,3,39,1.0\n201600000002,1,6.0,1.0\n201600000003,4,12,1.0"
    ).rows
    assert rows["numbered_road"].tolist() == ["D39", "A6", ""]


def test_columns_that_a_year_does_not_have_are_missing_values(read: Any) -> None:
    row = read("lieux", "Num_Acc;catr\n202100000001;1").rows.iloc[0]
    assert row["road_category"] == "motorway"
    assert (row["surface"], row["traffic"], row["spot"]) == ("", "", "")


def test_identifiers_lose_their_no_break_spaces(read: Any) -> None:
    rows = read("vehicules", "Num_Acc;id_vehicule;catv;obs\n202100000001;201\u00a0764\u202f1;07;0").rows
    assert rows["vehicle"].tolist() == ["2017641"]


def test_kinds_of_vehicles_are_words_and_unknown_codes_are_other(read: Any) -> None:
    lines = "\n".join(
        f"202100000001;{number};{code};0" for number, code in enumerate(("07", "1", "80", "33", "61", "-1", ""))
    )
    rows = read("vehicules", f"Num_Acc;id_vehicule;catv;obs\n{lines}").rows
    assert rows["kind"].tolist() == [
        "cars", "bicycles", "bicycles", "motorcycles", "other_vehicles", "other_vehicles", "other_vehicles",
    ]  # fmt: skip


def test_a_severity_that_does_not_exist_is_a_fault_and_a_missing_one_is_not(read: Any) -> None:
    checked = read(
        "usagers",
        """Num_Acc;catu;grav
        202100000001;1;4
        202100000001;2;-1
        202100000001;2;
        202100000001;2;5
        202100000001;3;x""",
    )
    assert checked.rows["severity"].isna().tolist() == [False, True, True]
    assert checked.rejected["line"].tolist() == [5, 6]
    assert set(checked.rejected["reason"]) == {"grav is not 1, 2, 3 or 4"}
