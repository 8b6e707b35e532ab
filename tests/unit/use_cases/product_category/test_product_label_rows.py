"""What a centre reports about a product becomes an example: of its text, since its image was not stored."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from services.core.prediction_log.label_export import to_label_columns, to_request_columns, write_training_rows
from services.prediction.outcomes.schemas import OutcomeSchemas
from services.preprocessing.stage.label_rows import append_labels
from services.preprocessing.stage.preprocess import check_schema
from services.use_cases.product_category.declaration import USE_CASE

ARRIVED = datetime(2026, 1, 1, tzinfo=UTC)
OWN = {
    "call_id": "1",
    "call_group": "call-1",
    "call_incident": "",
    "call_received_at": datetime(2024, 1, 1, tzinfo=UTC),
    "call_simulated": True,
}


def reported(**sent: Any) -> dict[str, Any]:
    request = to_request_columns(USE_CASE, sent, ARRIVED)
    assert request is not None
    return {**request, **to_label_columns(USE_CASE, {"category": "1140"}), **OWN}


def test_a_reported_class_is_kept_by_its_name_even_if_no_model_knows_it() -> None:
    models = OutcomeSchemas(USE_CASE, 10)
    item, faults = models.checked({"request_id": "a", "labels": {"category": "new"}})
    assert not faults
    assert to_label_columns(USE_CASE, item["labels"]) == {"category": "new"}
    assert to_label_columns(USE_CASE, {"category": None}) == {}
    _, faults = models.checked({"request_id": "a", "labels": {"category": 7}})
    assert faults[0]["allowed"].startswith("the name of a class")


def test_a_call_whose_picture_was_not_kept_is_known_by_its_text() -> None:
    digest = "sha256:" + "0" * 64
    assert to_request_columns(USE_CASE, {"title": "Sac", "image": digest}, ARRIVED) == {
        "title": "Sac",
        "description": None,
        "image": None,
    }
    assert to_request_columns(USE_CASE, {"image": digest}, ARRIVED) is None


def test_outcomes_join_the_examples(products: pd.DataFrame, tmp_path: Path) -> None:
    write_training_rows(tmp_path, USE_CASE, [reported(title="Chemise bleue", image="sha256:" + "0" * 64)])
    joined = append_labels(USE_CASE, products, tmp_path, simulated=True)
    assert len(joined) == len(products) + 1
    (added,) = joined[joined["origin"] == "simulated_outcome"].to_dict("records")
    assert (added["title"], added["category"], added["product"]) == ("Chemise bleue", "1140", "call-1")
    assert added["image"] is None
    check_schema(USE_CASE, joined, len(joined))


@pytest.mark.parametrize("report", [{"category": ""}, {"category": "x" * 65}])
def test_a_class_has_a_name_of_bearable_length(report: dict[str, Any]) -> None:
    assert OutcomeSchemas(USE_CASE, 10).checked({"request_id": "a", "labels": report})[1]
