"""Reading what the preprocess stage made."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from services.core.bundle.predictor import save_arrays
from services.core.errors import VigieError
from services.training.stage.workspace import Workspace, read_inputs


@pytest.fixture
def workspace(tmp_path: Path, examples: pd.DataFrame) -> Workspace:
    made = Workspace(tmp_path, "toy")
    made.prepared.mkdir(parents=True)
    examples.to_parquet(made.prepared / "examples.parquet")
    save_arrays(made.prepared / "reference.npz", {"stations": np.array(["A", "B"])})
    save_arrays(made.prepared / "context.npz", {})
    (made.prepared / "manifest.json").write_text(json.dumps({"simulated": True}))
    return made


def test_examples_reference_context_and_their_hashes_are_read(workspace: Workspace, examples: pd.DataFrame) -> None:
    inputs = read_inputs(workspace)
    pd.testing.assert_frame_equal(inputs.examples, examples)
    assert inputs.reference["stations"].tolist() == ["A", "B"]
    assert inputs.context == {}
    assert inputs.simulated
    assert inputs.source["examples.rows"] == len(examples)
    assert len(str(inputs.source["context.sha256"])) == 64


@pytest.mark.parametrize("name", ["examples.parquet", "reference.npz", "context.npz", "manifest.json"])
def test_a_missing_file_says_which_step_to_run(workspace: Workspace, name: str) -> None:
    (workspace.prepared / name).unlink()
    with pytest.raises(VigieError) as error:
        read_inputs(workspace)
    assert "./vigie preprocess toy" in error.value.action


def test_whether_the_data_were_simulated_is_never_guessed(workspace: Workspace) -> None:
    (workspace.prepared / "manifest.json").write_text("{}")
    with pytest.raises(VigieError, match="simulated"):
        read_inputs(workspace)


def test_objects_in_an_array_file_are_refused(workspace: Workspace) -> None:
    with (workspace.prepared / "context.npz").open("wb") as stream:
        np.savez(stream, allow_pickle=True, weather=np.array([{}], dtype=object))
    with pytest.raises(VigieError, match="allow_pickle"):
        _ = read_inputs(workspace).context["weather"]
