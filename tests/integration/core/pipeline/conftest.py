"""A small pipeline with the real one's stages and folders, whose stages take milliseconds: every output
holds the word that landed, in many files, so that a torn state cannot look whole."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services.core.contract.use_case import UseCase
from services.core.params import Params, UseCaseParams
from services.core.paths import VigiePaths
from services.core.pipeline.run import run_stages
from services.core.pipeline.workspace import write_params
from tests.processes import ODD_NAME
from tests.toy.declared import toy_declared

FILES = 30
_STAGE = f"""
import pathlib, sys, time
source, *targets = map(pathlib.Path, sys.argv[1:])
word = max(path for path in source.iterdir() if path.is_file()).read_text()
if word == "bad":
    sys.exit("the word is bad")
for target in targets:
    target.mkdir(parents=True)
    for number in range({FILES}):
        (target / f"{{number:03d}}.txt").write_text(word)
        time.sleep(0.003)
"""
_STAGES = {
    "ingest": ("data/${key}/landing", ["data/${key}/raw", "data/${key}/quarantine"]),
    "preprocess": ("data/${key}/raw", ["data/${key}/examples"]),
    "train": ("data/${key}/examples", ["models/${key}/bundle"]),
    "evaluate": ("models/${key}/bundle", ["models/${key}/evaluation"]),
}


# For each test: a wider scope would last into tests of other folders that this worker runs in between.
@pytest.fixture(autouse=True)
def toy() -> Iterator[UseCase]:
    with toy_declared() as use_case:
        yield use_case


@pytest.fixture(scope="session")
def _published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose ``home`` has published the word "one", and its ``root``: made once, copied by tests."""
    folder = tmp_path_factory.mktemp("published")
    _write_root(folder / "root")
    with toy_declared():
        _run(VigiePaths(folder / "home"), folder / "root", "one")
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    _write_root(tmp_path / "root")
    return tmp_path / "root"


@pytest.fixture
def home(tmp_path: Path) -> VigiePaths:
    """An empty home, with a name that few would choose."""
    return VigiePaths(tmp_path / ODD_NAME)


@pytest.fixture
def said_one(home: VigiePaths, _published: Path) -> Path:
    """The home has published the word "one": its state. (Homes can be moved and copied as a whole.)"""
    shutil.copytree(_published / "home", home.root, symlinks=True)
    return home.current("toy").resolve()


@pytest.fixture
def say(home: VigiePaths, root: Path) -> Callable[..., Path]:
    """Run the pipeline on a word."""
    return functools.partial(_run, home, root)


def _run(
    home: VigiePaths, root: Path, word: str | None, last: str = "train", progress: Callable[[str], None] | None = None
) -> Path:
    def land(workspace: Path) -> None:
        if word is not None:
            (workspace / "data" / "toy" / "landing" / "word.txt").unlink(missing_ok=True)
            (workspace / "data" / "toy" / "landing" / "word.txt").write_text(word)

    return run_stages(home, "toy", last, prepare=land, root=root, progress=progress)


def _write_root(folder: Path) -> None:
    (folder / "services").mkdir(parents=True)
    (folder / "services" / "stage.py").write_text(_STAGE)
    lines = ["stages:"]
    for name, (source, targets) in _STAGES.items():
        lines += [f"  {name}:", "    foreach: ${use_cases}", "    do:"]
        lines += [f"      cmd: python -S services/stage.py {source} {' '.join(targets)}"]
        lines += ["      deps:", f"        - {source}", "        - services/stage.py", "      outs:"]
        lines += [f"        - {target}" for target in targets]
    (folder / "dvc.yaml").write_text("\n".join(lines) + "\n")
    write_params(folder, Params(use_cases={"toy": UseCaseParams(code="tests/toy")}))


@pytest.fixture
def word_of() -> Callable[[Path], str]:
    """The one word that a whole state says; an assertion fails on a torn one."""

    def check(state: Path) -> str:
        words: set[str] = {(state / "data" / "toy" / "landing" / "word.txt").read_text()}
        for folder in ("data/toy/raw", "data/toy/quarantine", "data/toy/examples", "models/toy/bundle"):
            files = list((state / folder).iterdir())
            assert len(files) == FILES, f"{folder} has {len(files)} of {FILES} files"
            words |= {file.read_text() for file in files}
        assert len(words) == 1, f"a torn state says {sorted(words)}"
        return words.pop()

    return check
