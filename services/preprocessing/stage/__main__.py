"""Runs the preprocess stage: ``python -m services.preprocessing.stage USE_CASE`` in a workspace or the checkout."""

from __future__ import annotations

import sys
from pathlib import Path

from services.core import params
from services.core.pipeline.stage import run_stage_main


def work(use_case: str) -> None:
    from services.preprocessing.stage.preprocess import preprocess  # noqa: PLC0415 - pandas; a usage error needs none

    preprocess(use_case, Path(), params.load_params().of(use_case).preprocess)


if __name__ == "__main__":
    sys.exit(run_stage_main("preprocess", work))
