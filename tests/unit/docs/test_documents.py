"""The documents: links and anchors lead somewhere, named files exist, and command lines are ones that parse."""

from __future__ import annotations

import ast
import re
import shlex
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from services.cli.command_table import COMMANDS, LazyCommands
from services.core.settings import CHECKOUT
from tests.layout_table import DOCUMENT, updated

DOCUMENTS = sorted(
    [
        *CHECKOUT.glob("*.md"),
        *(CHECKOUT / "docs").rglob("*.md"),
        CHECKOUT / "benchmarks" / "README.md",
        CHECKOUT / "airflow" / "README.md",
    ]
)
CODE_FOLDERS = ("services", "tests", "docs", "airflow", "monitoring", "deploy", "benchmarks", "requirements")
DIALECT = re.compile(r"\b(told|away|kept|said|desks?|whoever|left out)\b", re.IGNORECASE)
"""Words that the glossary has better ones for."""
ELSEWHERE = ("services/use_cases/diabetes", "tests/unit/use_cases/diabetes", "services/edge")
"""What `docs/add-a-use-case.md` has made, and a folder of 0.1.0 that `docs/deploy.md` says how to replace."""

HISTORY = "CHANGELOG.md"
"""Names files and modules that are gone."""

each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(CHECKOUT)))


def prose(document: Path) -> str:
    """The text without code blocks."""
    return re.sub(r"^```.*?^```", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)


def headings(document: Path) -> list[str]:
    return re.findall(r"^#+ (.+)$", prose(document), flags=re.MULTILINE)


@cache
def anchors(document: Path) -> set[str]:
    """As code hosts make them of headings."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings(document)}


@each_document
def test_every_link_leads_to_a_file_and_every_anchor_to_a_heading(document: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(document)):
        path, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", path):
            continue
        file = (document.parent / path).resolve() if path else document
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert broken == []


@each_document
def test_every_file_that_is_named_exists(document: Path) -> None:
    missing = [name for name in named_files(document) if not exists(name)]
    assert missing == []


def named_files(document: Path) -> Iterator[str]:
    """What stands in backticks and looks like a path of this repository, or like a module's file name."""
    if document.name == HISTORY:
        return
    for text in re.findall(r"`([^`\n]+)`", prose(document)):
        if re.fullmatch(r"[\w./*-]+", text) and (text.split("/")[0] in CODE_FOLDERS or re.fullmatch(r"\w+\.py", text)):
            yield text.rstrip("/")


def exists(name: str) -> bool:
    if name in CODE_FOLDERS or name in ELSEWHERE:
        return True
    return any(CHECKOUT.glob(name)) if "/" in name else name in file_names()


@cache
def file_names() -> frozenset[str]:
    """Names of all modules; the template's end in ``.txt``."""
    found = [path for folder in CODE_FOLDERS for path in (CHECKOUT / folder).rglob("*.py*")]
    return frozenset(path.name.removesuffix(".txt") for path in found)


@each_document
def test_every_command_line_parses(document: Path) -> None:
    wrong = [f"{line}: {problem}" for line in command_lines(document) if (problem := problem_of(line))]
    assert wrong == []


def command_lines(document: Path) -> Iterator[str]:
    for line in document.read_text().splitlines():
        for text in re.findall(r"\./vigie ([a-z-][^`#|;&\n]*)", line):
            yield text.strip().rstrip(".,:)")


def problem_of(line: str) -> str | None:
    """What is wrong with a command line, without running it."""
    words = [word for word in shlex.split(line.partition(" -- ")[0].replace("'", " ")) if word not in ("[", "]")]
    command: Any = command_group()
    while hasattr(command, "commands"):
        name = words.pop(0) if words else ""
        if name.startswith("--"):
            return None if name in {"--help", "--install-completion", "--show-completion"} else f"no option {name}"
        if name not in command.commands:
            return f"no command {name!r}" if name else None
        command = resolved(command, name)
    known = {"--help", *(option for parameter in command.params for option in parameter.opts)}
    unknown = [word for word in words if re.match(r"--?[a-z]", word) and word.partition("=")[0] not in known]
    return f"no option {unknown}" if unknown else None


@cache
def command_group() -> Any:
    return LazyCommands(name="vigie")


def resolved(group: Any, name: str) -> Any:
    if isinstance(group, LazyCommands):
        return group.resolve_command(typer.Context(group), [name])[1]
    return group.commands[name]


def test_a_command_that_does_not_exist_is_noticed() -> None:
    assert problem_of("rollbak fire_response")
    assert problem_of("run fire_response --sauce DIR")
    assert problem_of("users invite")
    assert problem_of("run fire_response --source DIR") is None
    assert {"run", "users"} <= COMMANDS.keys()


@each_document
def test_every_module_that_is_started_exists(document: Path) -> None:
    if document.name == HISTORY:
        return
    modules = re.findall(r"-m ((?:services|benchmarks|monitoring)(?:\.\w+)*)\b", document.read_text())
    paths = {name: CHECKOUT / name.replace(".", "/") for name in modules if ".X" not in name}
    assert [name for name, path in paths.items() if not path.with_suffix(".py").exists() and not _runs(path)] == []


def _runs(folder: Path) -> bool:
    return (folder / "__main__.py").is_file()


@cache
def source_of_services() -> str:
    return "\n".join(path.read_text() for path in (CHECKOUT / "services").rglob("*.py"))


@each_document
def test_every_log_line_that_is_searched_for_is_one_that_services_write(document: Path) -> None:
    patterns = re.findall(r"grep (?:-i?E )?'([a-z| ]+)'", document.read_text())
    phrases = [phrase for pattern in patterns for phrase in pattern.split("|") if " " in phrase]
    assert [phrase for phrase in phrases if phrase not in source_of_services()] == []


@each_document
def test_headings_are_in_the_fields_terms(document: Path) -> None:
    assert [heading for heading in headings(document) if DIALECT.search(heading)] == []


def test_the_architecture_lists_the_import_contracts_that_there_are() -> None:
    text = (CHECKOUT / "docs" / "architecture.md").read_text()
    listed = re.findall(r"^\| ([^|]+) \| import-linter", text, flags=re.MULTILINE)
    contracts = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    names = [contract["name"] for contract in contracts]
    assert set(listed) <= set(names), "a rule without a contract"
    assert len(names) - len(listed) <= 1, "core.web has two contracts and one line"


def test_the_first_line_of_each_module_is_in_the_fields_terms() -> None:
    found = {}
    paths = [path for folder in CODE_FOLDERS for path in sorted((CHECKOUT / folder).rglob("*.py"))]
    for path in paths:
        first = (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n\n")[0]
        if DIALECT.search(first):
            found[str(path.relative_to(CHECKOUT))] = first
    assert found == {}


def test_the_table_of_layouts_is_that_of_the_declarations() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert text == updated(text), "run python -m tests.layout_table"
