"""From a published candidate to the champion: register, gate, promote, roll back."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from services.core.bundle.manifest import BundleManifest, write_manifest
from services.core.errors import VigieError
from services.core.model_registry.client import ModelRegistry
from services.core.params import Gate
from services.core.paths import VigiePaths
from services.training import promotion
from services.training.gate.decision import Decision

GATE = Gate(bootstrap=400, minimum_rows=100, max_latency_ratio=100)
Publish = Callable[[Path], None]


@pytest.fixture
def step(
    home: VigiePaths, registry: ModelRegistry, trained: dict[str, Path], publish: Publish
) -> Callable[[str], Decision]:
    """Publish a candidate, gate it and promote it if the gate allows it."""

    def run(name: str) -> Decision:
        publish(trained[name])
        version, decision = promotion.gate_and_register(home, "toy", gate=GATE, registry=registry)
        promoted = promotion.promote_if_allowed(home, "toy", version, decision, by=None, registry=registry)
        assert promoted == decision.promote
        return decision

    return run


def champion(registry: ModelRegistry) -> int:
    found = registry.by_alias("toy", "champion")
    assert found is not None
    return found.number


def test_a_first_model_a_better_one_and_a_worse_one(step: Callable[[str], Decision], registry: ModelRegistry) -> None:
    first = step("good")
    assert first.outcome == "passed"
    assert first.compared_with == "the baseline"
    assert champion(registry) == 1

    better = step("better")
    assert better.outcome == "passed"
    assert (better.compared_with, better.champion) == ("version 1", 1)
    assert champion(registry) == 2

    worse = step("worse")
    assert worse.outcome == "refused"
    assert champion(registry) == 2
    assert registry.by_alias("toy", "previous").number == 1
    assert registry.by_alias("toy", "challenger").number == 3


def test_the_decision_and_its_numbers_are_kept_with_the_version(
    step: Callable[[str], Decision], registry: ModelRegistry, tmp_path: Path
) -> None:
    decision = step("good")
    version = registry.version("toy", 1)
    assert version.tags["gate"] == "passed"
    assert version.tags["compared_with"] == "the baseline"
    assert float(version.tags["bound"]) == pytest.approx(decision.deciding.measured.bound, rel=1e-4)
    assert version.tags["gate_reasons"] == " ".join(decision.reasons)
    kept = json.loads(Path(registry._client.download_artifacts(version.run_id, "gate.json", str(tmp_path))).read_text())
    assert kept["promote"]
    assert kept["deciding"]["metric"] == "mae"


def test_the_same_candidate_again_changes_nothing(step: Callable[[str], Decision], registry: ModelRegistry) -> None:
    step("good")
    again = step("good")
    assert again.outcome == "unchanged"
    assert [version.number for version in registry.versions("toy")] == [1]
    assert registry.version("toy", 1).tags["gate"] == "passed"


def test_what_was_rolled_back_is_not_promoted_again_by_the_gate(
    step: Callable[[str], Decision], home: VigiePaths, registry: ModelRegistry
) -> None:
    step("good")
    step("better")
    assert promotion.rollback(home, "toy", by=None, registry=registry).champion.number == 1
    refused = step("better")
    assert refused.outcome == "refused"
    assert "was rolled back" in refused.reasons[0]
    assert champion(registry) == 1
    registry.promote("toy", 2)  # a person may
    assert champion(registry) == 2


def test_a_champion_that_changed_since_the_comparison_is_not_replaced(
    home: VigiePaths, registry: ModelRegistry, trained: dict[str, Path], publish: Publish
) -> None:
    publish(trained["good"])
    version, decision = promotion.gate_and_register(home, "toy", gate=GATE, registry=registry)
    other = registry.log_run_and_register("toy", trained["worse"])
    registry.promote("toy", other.number)
    with pytest.raises(VigieError, match="the gate compared with"):
        promotion.promote_if_allowed(home, "toy", version, decision, by=None, registry=registry)
    assert champion(registry) == other.number


def test_a_champion_that_this_code_cannot_run_is_not_replaced_by_the_gate(
    step: Callable[[str], Decision], registry: ModelRegistry
) -> None:
    step("good")
    stored = Path(registry.by_alias("toy", "champion").source.removeprefix("file://"))
    (stored / "inputs.json").write_text("{}")
    refused = step("better")
    assert refused.outcome == "refused"
    assert "cannot be run by this code" in refused.reasons[0]
    assert champion(registry) == 1


def test_a_corrupt_candidate_is_not_registered(
    home: VigiePaths, registry: ModelRegistry, trained: dict[str, Path], publish: Publish, tmp_path: Path
) -> None:
    state = shutil.copytree(trained["good"], tmp_path / "state")
    (state / "models" / "toy" / "bundle" / "fitted.npz").write_bytes(b"x")
    publish(state)
    with pytest.raises(VigieError, match="hash differs"):
        promotion.gate_and_register(home, "toy", gate=GATE, registry=registry)
    assert registry.versions("toy") == []


def test_without_a_candidate_the_error_says_what_to_do(home: VigiePaths, registry: ModelRegistry) -> None:
    with pytest.raises(VigieError, match="no evaluated candidate") as error:
        promotion.gate_and_register(home, "toy", gate=GATE, registry=registry)
    assert "./vigie" in error.value.action


def test_a_model_of_simulated_data_does_not_replace_one_of_real_data(
    step: Callable[[str], Decision], registry: ModelRegistry
) -> None:
    assert step("real").outcome == "passed"
    refused = step("better")
    assert refused.outcome == "refused"
    assert "was made from real data" in refused.reasons[0]
    assert champion(registry) == 1


@pytest.fixture
def twin(trained: dict[str, Path], tmp_path: Path) -> Path:
    """The good candidate with one word changed that no answer depends on: another bundle, as good."""
    state = shutil.copytree(trained["good"], tmp_path / "twin")
    bundle = state / "models" / "toy" / "bundle"
    inputs = json.loads((bundle / "inputs.json").read_text())
    inputs["town"]["usual"] = "nowhere"
    (bundle / "inputs.json").write_text(json.dumps(inputs))
    write_manifest(bundle, BundleManifest.model_validate_json((bundle / "bundle.json").read_bytes()))
    return state


def test_another_bundle_of_the_same_quality_is_refused_for_not_being_better(
    step: Callable[[str], Decision], home: VigiePaths, registry: ModelRegistry, publish: Publish, twin: Path
) -> None:
    step("good")
    publish(twin)
    version, decision = promotion.gate_and_register(home, "toy", gate=GATE, registry=registry)
    assert version.number == 2
    assert decision.outcome == "refused"
    assert decision.deciding.measured.gain == 0
