"""Runs the train stage: ``python -m services.training.stage USE_CASE`` in a workspace."""

from __future__ import annotations

import sys

from services.core import params
from services.core.contract.use_case import UseCase
from services.training.stage.train import train
from services.training.stage.workspace import Workspace, read_inputs, run_training_stage


def work(use_case: UseCase, workspace: Workspace) -> str:
    """Train the workspace's bundle with the parameters of ``params.yaml``.

    Args:
        use_case: What is trained.
        workspace: Where examples are read and the bundle is written.

    Returns:
        A sentence for the log.
    """
    inputs = read_inputs(workspace)
    train(
        use_case,
        inputs.examples,
        inputs.reference,
        inputs.context,
        params=params.load_params().of(use_case.name).train,
        folder=workspace.bundle,
        simulated=inputs.simulated,
        source=inputs.source,
    )
    return f"trained on {len(inputs.examples)} examples"


if __name__ == "__main__":
    sys.exit(run_training_stage("services.training", sys.argv[1:], work))
