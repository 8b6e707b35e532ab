"""What the train and the evaluation stage have in common when they start."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import structlog

from services.core.pipeline import stage
from services.core.usecases import registry
from services.core.usecases.contract import UseCase
from services.training.workspace import Workspace


def run_stage(program: str, arguments: list[str], work: Callable[[UseCase, Workspace], str]) -> int:
    """Do the stage's work in the workspace that is the current folder. 0, or 1 with a plain message."""

    def named(use_case: str) -> None:
        done = work(registry.get(use_case), Workspace(Path(), use_case))
        structlog.get_logger().info(done, use_case=use_case)

    return stage.run_stage(program.rpartition(".")[2], named, arguments)
