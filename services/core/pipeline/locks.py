"""What a ``dvc.lock`` names, and bare workspaces that hold nothing but that."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from services.core.errors import VigieError
from services.core.home import Home
from services.core.pipeline.workspace import make_bare


@dataclass(frozen=True, slots=True)
class LockedOutput:
    """One output of a stage: where it was, and what DVC needs to bring it back."""

    path: str
    entry: dict[str, Any]

    @property
    def name(self) -> str:
        return PurePosixPath(self.path).name


def outputs(lock_text: str) -> list[LockedOutput]:
    """
    Raises:
        VigieError: the text is no lock file.
    """
    try:
        stages = yaml.safe_load(lock_text)["stages"].values()
        found = [dict(out) for stage in stages for out in stage.get("outs", [])]
        return [LockedOutput(str(out["path"]), {k: v for k, v in out.items() if k != "path"}) for out in found]
    except (yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise VigieError(f"This is no dvc.lock: {error!r}", expected="the dvc.lock kept with a version") from error


@contextmanager
def bare_workspace(home: Home, wanted: Iterable[tuple[str, LockedOutput]], purpose: str) -> Iterator[Path]:
    """A workspace that tracks each output at the path given for it; DVC's own commands then fetch, push
    and keep exactly these. Removed at the end."""
    folder = home.scratch / f"{purpose}-{secrets.token_hex(6)}"
    folder.mkdir(parents=True)
    try:
        make_bare(home, folder)
        for path, output in wanted:
            target = folder / f"{path}.dvc"
            target.parent.mkdir(parents=True, exist_ok=True)
            entry = {**output.entry, "path": PurePosixPath(path).name}
            target.write_text(yaml.safe_dump({"outs": [entry]}))
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
