"""Options models of the jobs, one per step."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

CONFIRM_PATTERN = r"^\s*(v[0-9a-f]{7}(\s*,\s*v[0-9a-f]{7})*)?\s*$"
"""Codes with which a person confirms doubtful values."""


class NoOptions(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class IngestOptions(NoOptions):
    source: str = Field(
        default="auto",
        min_length=1,
        max_length=500,
        description="official, simulator, a folder, or auto: the first that is there of the official files, the drop "
        "folder and the simulator.",
    )
    fresh: bool = Field(default=False, description="Forget what landed before.")
    confirm: str = Field(
        default="",
        pattern=CONFIRM_PATTERN,
        max_length=500,
        description="Codes of doubtful values that a person confirms, with commas: a refused ingestion names them.",
    )


class GateOptions(NoOptions):
    force: bool = Field(default=False, description="Judge the candidate again although it was judged before.")


class PromoteOptions(NoOptions):
    version: int | None = Field(
        default=None, ge=1, description="Promote this version by hand, past the gate; without it what the gate passed."
    )
    approved: int | None = Field(
        default=None,
        ge=1,
        description="Promote this version if the gate passed it, and no newer candidate in its place.",
    )


class MonitorOptions(NoOptions):
    report: bool = Field(default=True, description="Make Evidently's HTML report too; it takes some seconds.")
    act: bool = Field(default=True, description="Start a retraining or a rollback where that is called for.")


class HousekeepingOptions(NoOptions):
    dry_run: bool = Field(default=True, description="Only tell what would be removed.")
    keep_days: int = Field(default=30, ge=1, le=3_650)


OPTIONS: Mapping[str, type[BaseModel]] = {
    "ingest": IngestOptions,
    "preprocess": NoOptions,
    "train": NoOptions,
    "evaluate": NoOptions,
    "gate": GateOptions,
    "promote": PromoteOptions,
    "rollback": NoOptions,
    "monitor": MonitorOptions,
    "housekeeping": HousekeepingOptions,
}
