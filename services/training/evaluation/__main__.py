"""Runs the evaluation stage: ``python -m services.training.evaluation USE_CASE`` in a workspace."""

from __future__ import annotations

import sys

from services.core import params
from services.core.contract.use_case import UseCase
from services.training.evaluation.evaluate import evaluate
from services.training.stage.workspace import Workspace, read_inputs, run_training_stage


def work(use_case: UseCase, workspace: Workspace) -> str:
    """Evaluate the workspace's bundle with the parameters of ``params.yaml``.

    Args:
        use_case: What is evaluated.
        workspace: Where examples and bundle are read and the evaluation is written.

    Returns:
        A sentence for the log.
    """
    inputs = read_inputs(workspace)
    report = evaluate(
        use_case,
        inputs.examples,
        inputs.context,
        bundle=workspace.bundle,
        params=params.load_params().of(use_case.name).evaluate,
        folder=workspace.evaluation,
    )
    return f"measured on {report['rows']} test rows"


if __name__ == "__main__":
    sys.exit(run_training_stage("services.training.evaluation", sys.argv[1:], work))
