"""Every quantity has bounds, and what the files hold lies within them and contradicts itself nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.core import use_case_registry
from services.core.contract.use_case import MultiClass, Regression
from services.core.raw_files.reader import read_folder
from services.prediction.outcomes.schemas import OutcomeSchemas
from services.simulator.datasets import _to_json_label


@pytest.mark.parametrize("name", use_case_registry.names())
def test_every_quantity_declares_its_bounds(name: str) -> None:
    for target in use_case_registry.get(name).modelling.targets:
        if isinstance(target.output, Regression):
            assert target.output.minimum is not None, f"{name}: {target.name}"
            assert target.output.maximum is not None, f"{name}: {target.name}"


@pytest.mark.parametrize("name", ["fire_response", "road_accidents", "wine_quality"])
def test_what_the_files_hold_could_be_reported(name: str, tmp_path: Path) -> None:
    use_case = use_case_registry.get(name)
    use_case.simulator.write(tmp_path, seed=1, rows=300, start="2024-01-01", days=20)
    examples = use_case.raw.build_examples(read_folder(name, tmp_path))
    schemas = OutcomeSchemas(use_case, 10)
    for record in examples.head(300).to_dict("records"):
        labels = {
            target.label: _to_json_label(target, record[target.label])
            for target in use_case.modelling.targets
            if record[target.label] == record[target.label]
        }
        assert schemas.checked({"incident_id": "x", "labels": labels})[1] == []
    rules = [target for target in use_case.modelling.targets if target.follows is not None]
    assert rules, "one label follows from another"
    assert not any(isinstance(target.output, MultiClass) and target.output.learned for target in rules)
