"""Four tables become one example per accident."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from services.use_cases.road_accidents import raw

ACCIDENT = "202300000001"


def tables_of(read: Any, **parts: str) -> dict[str, pd.DataFrame]:
    """The tables of one accident, with those parts replaced that a test is about."""
    texts = {
        "caracteristiques": f"""Num_Acc;jour;mois;an;hrmn;lum;dep;com;agg;int;atm;col;adr;lat;long
        {ACCIDENT};10;5;2023;18:40;1;38;38185;1;1;1;1;D1532;45,1885;5,7245""",
        "lieux": f"""Num_Acc;catr;circ;prof;plan;surf;infra;situ;vma
        {ACCIDENT};3;2;1;2;1;0;1;80""",
        "vehicules": f"""Num_Acc;id_vehicule;num_veh;catv;obs
        {ACCIDENT};1;A01;33;0
        {ACCIDENT};2;B01;7;0""",
        "usagers": f"""Num_Acc;id_usager;id_vehicule;catu;grav
        {ACCIDENT};1;1;1;3
        {ACCIDENT};2;2;1;1
        {ACCIDENT};3;2;2;4""",
    } | parts
    return {name: read(name, text).rows.drop(columns="line") for name, text in texts.items()}


def outcome_of(read: Any, *severities: str) -> tuple[float, float]:
    lines = "\n".join(f"{ACCIDENT};{number};1;1;{grav}" for number, grav in enumerate(severities))
    users = f"Num_Acc;id_usager;id_vehicule;catu;grav\n{lines}"
    row = raw.build_examples(tables_of(read, usagers=users)).iloc[0]
    return row["priority"], row["severity"]


def test_one_accident_is_one_row_in_the_words_of_a_caller(read: Any) -> None:
    (row,) = raw.build_examples(tables_of(read)).to_dict("records")

    assert (row["motorcycles"], row["cars"], row["people"], row["pedestrians"]) == (1, 1, 3, 0)
    assert (row["road_category"], row["collision"], row["bend"]) == ("departmental", "head_on", "left")
    assert (row["priority"], row["severity"]) == (1.0, 1.0)
    assert row["event_time"] == row["occurred_at"] == pd.Timestamp("2023-05-10 16:40", tz="UTC")
    assert (row["area"], row["hour_band"]) == ("Auvergne-Rhône-Alpes", "evening, 16 to 20 h")
    assert (row["vehicle_kind"], row["setting"]) == ("powered two-wheeler", "outside towns")


def test_the_worst_outcome_counts_although_the_codes_are_no_order(read: Any) -> None:
    assert outcome_of(read, "1", "4") == (0.0, 0.0)
    assert outcome_of(read, "4", "3") == (1.0, 1.0)
    assert outcome_of(read, "3", "2", "4") == (1.0, 2.0)


def test_an_accident_in_which_nobody_was_hurt_counts_as_slight(read: Any) -> None:
    assert outcome_of(read, "1", "1") == (0.0, 0.0)


def test_a_missing_severity_leaves_open_only_what_it_could_change(read: Any) -> None:
    priority, severity = outcome_of(read, "4", "-1")
    assert pd.isna(priority)
    assert pd.isna(severity)
    priority, severity = outcome_of(read, "3", "-1")
    assert priority == 1.0
    assert pd.isna(severity)
    assert outcome_of(read, "2", "-1") == (1.0, 2.0)


def test_several_rows_of_lieux_stay_one_accident_with_the_highest_limit(read: Any) -> None:
    lieux = f"""Num_Acc;catr;circ;prof;plan;surf;infra;situ;vma
        {ACCIDENT};-1;2;1;1;1;0;1;30
        {ACCIDENT};3;2;1;2;1;0;1;50
        {ACCIDENT};4;1;1;1;1;0;1;80"""
    (row,) = raw.build_examples(tables_of(read, lieux=lieux)).to_dict("records")
    assert (row["road_category"], row["bend"], row["speed_limit"]) == ("departmental", "left", 80.0)


def test_the_hardest_obstacle_is_the_one_that_a_caller_names(read: Any) -> None:
    vehicules = f"""Num_Acc;id_vehicule;num_veh;catv;obs
        {ACCIDENT};1;A01;7;16
        {ACCIDENT};2;B01;7;2"""
    (row,) = raw.build_examples(tables_of(read, vehicules=vehicules)).to_dict("records")
    assert row["obstacle"] == "tree"


def test_a_vehicle_or_user_that_is_there_twice_counts_once(read: Any) -> None:
    vehicules = f"Num_Acc;id_vehicule;catv;obs\n{ACCIDENT};1;7;0\n{ACCIDENT};1;7;0"
    usagers = f"Num_Acc;id_usager;id_vehicule;catu;grav\n{ACCIDENT};1;1;1;4\n{ACCIDENT};1;1;1;4"
    (row,) = raw.build_examples(tables_of(read, vehicules=vehicules, usagers=usagers)).to_dict("records")
    assert (row["cars"], row["people"]) == (1, 1)


def test_pedestrians_on_rollers_of_2016_are_pedestrians(read: Any) -> None:
    usagers = f"Num_Acc;catu;grav\n{ACCIDENT};1;1\n{ACCIDENT};3;4\n{ACCIDENT};4;4"
    (row,) = raw.build_examples(tables_of(read, usagers=usagers)).to_dict("records")
    assert (row["pedestrians"], row["vehicle_kind"]) == (2, "pedestrian")


def test_an_accident_that_one_table_does_not_know_is_no_example(read: Any) -> None:
    usagers = "Num_Acc;catu;grav\n202300000002;1;1"
    assert raw.build_examples(tables_of(read, usagers=usagers)).empty


def test_an_accident_without_what_every_caller_says_is_no_example(read: Any) -> None:
    lieux = f"Num_Acc;catr;surf\n{ACCIDENT};-1;1"
    assert raw.build_examples(tables_of(read, lieux=lieux)).empty


@pytest.mark.parametrize(
    ("day", "month", "clock", "department", "utc"),
    [
        ("10", "5", "18:40", "38", "2023-05-10 16:40"),
        ("10", "5", "18:40", "974", "2023-05-10 14:40"),
        ("10", "5", "18:40", "971", "2023-05-10 22:40"),
        ("10", "5", "18:40", "", "2023-05-10 16:40"),
        # the hour that happens twice: the first is meant
        ("29", "10", "02:30", "38", "2023-10-29 00:30"),
        # the hour that never happens: moved on by the gap
        ("26", "3", "02:30", "38", "2023-03-26 01:30"),
    ],
)
def test_official_times_are_local_to_the_department(
    *, read: Any, day: str, month: str, clock: str, department: str, utc: str
) -> None:
    text = f"""Num_Acc;jour;mois;an;hrmn;lum;dep;com;agg;int;atm;col;adr;lat;long
        {ACCIDENT};{day};{month};2023;{clock};1;{department};;1;1;1;1;D1;45,1;5,7"""
    (row,) = raw.build_examples(tables_of(read, caracteristiques=text)).to_dict("records")
    assert row["event_time"] == pd.Timestamp(utc, tz="UTC")


def test_examples_are_in_the_order_of_time(simulated: pd.DataFrame) -> None:
    assert simulated["event_time"].is_monotonic_increasing
    assert simulated["accident"].is_unique
