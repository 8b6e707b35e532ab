"""Runs the ingest stage: ``python -m services.ingestion.stage USE_CASE`` in a workspace or the checkout."""

from __future__ import annotations

import sys
from pathlib import Path

from services.core import params
from services.core.pipeline.stage import run_stage_main


def work(use_case: str) -> None:
    from services.ingestion.stage.ingest import ingest  # noqa: PLC0415 - pandas; a usage error needs none

    ingest(use_case, Path(), params.load_params().of(use_case).ingest)


if __name__ == "__main__":
    sys.exit(run_stage_main("ingest", work))
