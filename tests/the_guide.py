"""Follows docs/add-a-use-case.md: has the template written and puts the guide's code in its place."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from services.cli.commands.new_use_case import write
from services.core.settings import CHECKOUT

GUIDE = CHECKOUT / "docs" / "add-a-use-case.md"
NAME, TITLE = "diabetes", "Diabetes progression"


def follow(folder: Path) -> Path:
    """The guide's use case as a project in ``folder``; returns its package."""
    assert f'./vigie new-use-case {NAME} --title "{TITLE}" --folder' in GUIDE.read_text()
    write(NAME, TITLE, folder)
    blocks = re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```$", GUIDE.read_text(), flags=re.MULTILINE | re.DOTALL)
    assert {file for file, _ in blocks} == {"declaration.py", "simulator.py"}
    for file, code in blocks:
        path = folder / NAME / file
        path.write_text(replaced(path.read_text(), code))
    return folder / NAME


def replaced(text: str, code: str) -> str:
    """``text`` with each of the definitions in ``code`` in the place of the one with the same name."""
    for name, (first, last) in _definitions(code).items():
        start, end = _definitions(text)[name]
        lines = text.splitlines()
        text = "\n".join([*lines[:start], *code.splitlines()[first:last], *lines[end:]]) + "\n"
    return text


def _definitions(text: str) -> dict[str, tuple[int, int]]:
    """Name -> first line and the one after the last, counted from 0."""
    found = {}
    for node in ast.parse(text).body:
        assert node.end_lineno is not None
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found[node.name] = (node.lineno - 1, node.end_lineno)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id] = (node.lineno - 1, node.end_lineno)
    return found


def code_lines(package: Path) -> int:
    """Lines of the package's modules that are not blank."""
    return sum(bool(line.strip()) for file in package.glob("*.py") for line in file.read_text().splitlines())
