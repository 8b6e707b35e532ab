"""What each input adds to an answer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.prediction.inference.explainer import class_attributions, inverse_link, mean_slope


def _explain(service: Any, **changes: Any) -> dict[str, Any]:
    answer = service.client.post("/v1/toy/explain", json={**service.call, **changes})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


@pytest.mark.parametrize("distance", [0.0, 0.5, 3.2, 4.4, 12.0, 100.0])
@pytest.mark.parametrize("town", ["east", None])
def test_base_and_contributions_sum_to_the_answered_output(service: Any, distance: float, town: str | None) -> None:
    body = _explain(service, distance=distance, town=town)
    answer = service.predict(distance=distance, town=town)["answer"]
    assert body["answer"] == answer
    targets = body["targets"]
    assert targets["seconds"]["unit"] == "s"
    assert targets["late"]["unit"] == targets["size"]["unit"] == "probability"
    for target in targets.values():
        for output in target["outputs"]:
            total = output["base"] + sum(output["contributions"].values())
            assert total == pytest.approx(output["output"], abs=1e-9)
    assert targets["seconds"]["outputs"][0]["output"] == answer["seconds"]["median"]
    assert targets["late"]["outputs"][0]["output"] == answer["late_probability"]
    assert sum(output["output"] for output in targets["size"]["outputs"]) == pytest.approx(1.0)


def test_the_base_hardly_depends_on_the_request(service: Any) -> None:
    """What is left to the base beyond the model's own is rounding between two engines."""
    bases = [_explain(service, distance=d)["targets"] for d in (0.5, 3.2, 9.0)]
    for name, index, tolerance in (("seconds", 0, 0.01), ("late", 0, 1e-4), ("size", 1, 1e-4)):
        found = [target[name]["outputs"][index]["base"] for target in bases]
        assert max(found) - min(found) < tolerance


def test_contributions_are_named_by_the_requests_fields(service: Any) -> None:
    contributions = _explain(service)["targets"]["seconds"]["outputs"][0]["contributions"]
    assert list(contributions) == ["called_at", "distance", "kind", "town", "context"]
    assert contributions["context"] == 0.0


def test_a_longer_way_adds_seconds(service: Any) -> None:
    def added(distance: float) -> float:
        outputs = _explain(service, distance=distance)["targets"]["seconds"]["outputs"]
        return float(outputs[0]["contributions"]["distance"])

    assert added(0.5) < added(4.0) < added(9.0)


def test_the_baseline_explains_itself_as_base_alone(make_service: Any) -> None:
    body = _explain(make_service())
    assert body["source"] == "baseline"
    for target in body["targets"].values():
        for output in target["outputs"]:
            assert output["output"] == output["base"]
            assert set(output["contributions"].values()) == {0.0}


def test_a_model_that_cannot_explain_leaves_the_baseline(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(service.desk.slot.serving.model), "explain_row", lambda *_: 1 / 0)
    body = _explain(service)
    assert body["source"] == "baseline"
    assert body["warnings"][0]["code"] == "model_failed"


def test_the_importance_of_each_field_is_told(service: Any) -> None:
    importance = service.client.get("/v1/toy").json()["importance"]
    assert set(importance) == {"seconds", "late", "size"}
    for shares in importance.values():
        assert sum(shares.values()) == pytest.approx(1.0, abs=1e-4)
    assert max(importance["seconds"], key=importance["seconds"].get) == "distance"


@given(st.floats(-8, 8), st.floats(-8, 8), st.sampled_from(["binary:logistic", "reg:gamma", "reg:squarederror"]))
@settings(deadline=None)
def test_the_mean_slope_leads_from_the_base_to_the_output(start: float, end: float, objective: str) -> None:
    function = inverse_link(objective)
    low, high = function(np.array([start, end]))
    assert low + mean_slope(function, start, end) * (end - start) == pytest.approx(high, abs=1e-8, rel=1e-6)


@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.integers(2, 6), st.floats(0.5, 2.0))
@settings(deadline=None, max_examples=50)
def test_class_shares_lead_from_the_base_to_the_calibrated_probabilities(
    seed: int, members: int, classes: int, temperature: float
) -> None:
    generator = np.random.default_rng(seed)
    contributions = generator.normal(0, 0.7, (members, classes, 5))
    bases = generator.normal(0, 1, (members, classes))
    bias = generator.normal(0, 0.3, classes)
    shares, base = class_attributions(contributions, bases, temperature, bias)
    margins = bases + contributions.sum(axis=2)
    member = np.exp(margins) / np.exp(margins).sum(axis=1, keepdims=True)
    logits = np.log(member.mean(axis=0)) / temperature + bias
    expected = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose(base + shares.sum(axis=1), expected, atol=1e-5)
    np.testing.assert_allclose(shares.sum(axis=0), 0, atol=1e-9)


def test_an_objective_whose_link_is_not_known_is_an_error() -> None:
    with pytest.raises(ValueError, match="rank:pairwise"):
        inverse_link("rank:pairwise")
