"""Rows of files that do not belong together, and values that mean something else, are counted and refused."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from services.core.contract.use_case import Join, Plausible, Table
from services.core.errors import VigieError
from services.core.raw_files.consistency import check_joins, check_meaning, refuse_doubts, refuse_lost

ORDERS = Table("orders", ("a",), (), ("order",))
REASON = "The two files number other orders."


def parcels(*joins: Join, plausible: Sequence[Plausible] = ()) -> Table:
    return Table("parcels", ("b",), (), ("parcel",), joins=joins, plausible=tuple(plausible))


def orders_of(*names: str, **columns: Sequence[object]) -> pd.DataFrame:
    return pd.DataFrame({"order": list(names), **columns})


def test_rows_that_the_other_table_does_not_know_are_counted_by_period_with_examples() -> None:
    tables = {"orders": orders_of("2023-1", "2023-2"), "parcels": orders_of("2023-1", "2024-7", "2024-8")}
    (unknown, absent) = check_joins([ORDERS, parcels(Join("orders", "order", period=4))], tables)
    assert unknown.text == "2 of 3 rows of parcels are not in orders (2024: 2 of 2), such as 2024-7, 2024-8"
    assert absent.text == "1 of 2 values of order of orders are not in parcels (2023: 1 of 2), such as 2023-2"
    assert (unknown.lost, absent.lost) == (True, False)


def test_more_of_them_than_allowed_are_refused_and_fewer_are_reported() -> None:
    known = [f"o{number}" for number in range(100)]
    for missing, refused in ((5, False), (6, True)):
        tables = {"orders": orders_of(*known[missing:]), "parcels": orders_of(*known)}
        reports = check_joins([ORDERS, parcels(Join("orders", "order", reason=REASON))], tables)
        assert reports[0].unknown == missing
        if refused:
            with pytest.raises(VigieError, match=rf"6 of 100 rows of parcels .*{REASON}"):
                refuse_lost(reports, 0.05)
        else:
            refuse_lost(reports, 0.05)


def test_orders_without_parcels_are_refused_only_where_they_are_lost() -> None:
    tables = {"orders": orders_of("1", "2", "3"), "parcels": orders_of("1")}
    refuse_lost(check_joins([ORDERS, parcels(Join("orders", "order"))], tables), 0.05)
    with pytest.raises(VigieError, match="2 of 3 values of order of orders are not in parcels"):
        refuse_lost(check_joins([ORDERS, parcels(Join("orders", "order", lost_if_absent=True))], tables), 0.05)


def test_files_of_other_years_do_not_count_where_the_join_is_within_a_time() -> None:
    day = pd.to_datetime
    tables = {
        "orders": orders_of("1", "2", at=[day("2024-01-01"), day("2024-12-31")]),
        "parcels": orders_of("0", "1", "9", sent=[day("2023-05-01"), day("2024-01-02"), day("2024-06-01")]),
    }
    (report,) = check_joins([ORDERS, parcels(Join("orders", "order", within=("sent", "at")))], tables)
    assert (report.unknown, report.rows) == (1, 2)
    assert "such as 9" in report.text


def test_a_table_that_is_not_there_is_not_joined() -> None:
    assert check_joins([ORDERS, parcels(Join("orders", "order"))], {"parcels": orders_of("1")}) == []


GRADES = Plausible("grade", shares={2.0: (0.0, 0.1)}, meaning={2.0: "broken"})


def graded(good: int, broken: int, column: str = "grade") -> pd.DataFrame:
    return pd.DataFrame({column: [1.0] * good + [2.0] * broken})


def test_a_share_that_cannot_be_is_doubted_with_its_figures() -> None:
    (doubt,) = check_meaning(parcels(plausible=[GRADES]), [("a.csv", graded(14, 16))])
    assert doubt.text == "2 (broken) in 16 of 30 rows (53%), possible are at most 10%"
    with pytest.raises(VigieError, match=r"a\.csv: grade of parcels: 2 \(broken\)") as caught:
        refuse_doubts([doubt], frozenset())
    assert f"--confirm {doubt.code}" in caught.value.action


def test_a_few_rows_say_little_about_a_share() -> None:
    assert check_meaning(parcels(plausible=[GRADES]), [("a.csv", graded(4, 2))]) == []


def test_what_a_person_confirmed_passes_and_other_figures_need_another_word() -> None:
    table = parcels(plausible=[GRADES])
    (doubt,) = check_meaning(table, [("a.csv", graded(14, 16))])
    (again,) = check_meaning(table, [("copy of a.csv", graded(14, 16))])
    (other,) = check_meaning(table, [("a.csv", graded(13, 17))])
    refuse_doubts([doubt, again], frozenset({doubt.code}))
    with pytest.raises(VigieError):
        refuse_doubts([other], frozenset({doubt.code}))


def test_a_column_that_is_coded_otherwise_than_before_is_doubted() -> None:
    table = parcels(plausible=[Plausible("grade")])
    before, alike, recoded = graded(900, 100), graded(250, 50), graded(50, 250)
    assert check_meaning(table, [("1.csv", before), ("2.csv", alike)]) == []
    (doubt,) = check_meaning(table, [("1.csv", before), ("2.csv", recoded)])
    assert doubt.file == "2.csv"
    assert doubt.text == "1 in 17% of the rows, in the files before in 90%"


def test_a_column_that_is_suddenly_missing_is_doubted() -> None:
    empty = pd.DataFrame({"grade": np.full(300, np.nan)})
    (doubt,) = check_meaning(parcels(plausible=[Plausible("grade")]), [("1.csv", graded(900, 100)), ("2.csv", empty)])
    assert doubt.text == "1 in 0% of the rows, in the files before in 90%" or "(missing) in 100%" in doubt.text


@pytest.mark.parametrize(("factor", "doubted"), [(1.0, False), (1 / 60, True)])
def test_a_quantity_in_another_unit_is_doubted(factor: float, doubted: bool) -> None:
    seconds = pd.DataFrame({"grade": np.random.default_rng(1).normal(350.0, 60.0, 400)})
    bounded = parcels(plausible=[Plausible("grade", median=(120.0, 1_200.0))])
    assert bool(check_meaning(bounded, [("a.csv", seconds * factor)])) is doubted
    free = parcels(plausible=[Plausible("grade", median=(0.0, 1e9))])
    assert bool(check_meaning(free, [("a.csv", seconds), ("b.csv", seconds * factor)])) is doubted
