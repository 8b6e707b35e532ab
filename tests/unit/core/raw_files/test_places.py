"""Coordinates lie in the box of their area; units and signs follow from all rows."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from services.core.contract.tables import Box, Column, Finding
from services.core.raw_files.columns import read_columns
from services.core.raw_files.places import place_rows

BOXES = {
    "north": Box(48, 50, -2, 2), "west": Box(47, 49, -5, -1), "island": Box(14, 15, -61.5, -60.5),
    "south": Box(-21.5, -20.5, 55, 56),
}  # fmt: skip


def placed(*rows: tuple[str, str, str]) -> tuple[list[tuple[float, float]], list[Finding]]:
    frame = pd.DataFrame(rows, columns=["area", "latitude", "longitude"], dtype="str").assign(
        line=range(2, len(rows) + 2)
    )
    columns = [Column("area"), Column("latitude", kind="number"), Column("longitude", kind="number")]
    typed = read_columns(columns, frame)
    typed.findings.clear()
    place_rows(typed, typed.rows["area"], BOXES, scales=(1.0, 1e-5))
    return list(zip(typed.rows["latitude"], typed.rows["longitude"], strict=True)), typed.findings


def test_degrees_and_scaled_degrees() -> None:
    assert placed(("north", "48.5", "1.5"))[0] == [(48.5, 1.5)]
    assert placed(("north", "4850000", "150000"))[0] == [(48.5, 1.5)]


@pytest.mark.parametrize(
    ("row", "meant"),
    [(("island", "14.6", "61"), (14.6, -61.0)), (("south", "20.9", "55.5"), (-20.9, 55.5)),
     (("island", "1460000", "6100000"), (14.6, -61.0))],
)  # fmt: skip
def test_an_area_that_leaves_the_sign_out_gets_it_and_the_report_says_so(
    row: tuple[str, str, str], meant: tuple[float, float]
) -> None:
    places, findings = placed(row, row)
    assert places == [meant, meant]
    assert any(finding.kind == "convention" and "sign" in finding.text for finding in findings)


def test_a_place_outside_of_its_area_is_missing_and_counted_with_its_value() -> None:
    places, findings = placed(("north", "48.5", "1.5"), ("north", "12.5", "1.5"), ("north", "1.5", "48.5"))
    assert places[0] == (48.5, 1.5)
    assert all(math.isnan(value) for place in places[1:] for value in place)
    (lost,) = findings
    assert (lost.kind, lost.rows, lost.line, lost.value) == ("lost", 2, 3, "12.5, 1.5")


def test_without_any_west_the_rows_on_both_sides_of_greenwich_have_no_place() -> None:
    places, findings = placed(("west", "48", "3"), ("west", "48.1", "4"), ("north", "48.5", "1.5"))
    assert places[:2] == [(48.0, -3.0), (48.1, -4.0)]
    assert math.isnan(places[2][1])
    assert any("signs are lost" in finding.text for finding in findings)


def test_half_a_place_is_counted_and_zero_is_none() -> None:
    places, findings = placed(("north", "48.5", ""), ("north", "0", "0"))
    assert all(math.isnan(value) for place in places for value in place)
    assert [(finding.kind, finding.rows) for finding in findings] == [("lost", 1)]


def test_an_unknown_area_may_be_anywhere_in_the_country() -> None:
    assert placed(("", "48.5", "1.5"))[0] == [(48.5, 1.5)]
    assert math.isnan(placed(("", "80", "1.5"))[0][0][0])
