"""``./vigie new-use-case NAME``: creates a working use case from a template, to be adapted as described in
``docs/add-a-use-case.md``."""

from __future__ import annotations

from pathlib import Path
from string import Template
from typing import Annotated

import typer

from services.cli.console import out
from services.core import use_case_registry
from services.core.errors import VigieError
from services.core.settings import CHECKOUT
from services.core.use_case_registry import name_error

TEMPLATE = Path(__file__).parent / "template"
OWN = "services/use_cases"


def new_use_case(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Small letters, digits and underscores.")],
    folder: Annotated[
        Path | None,
        typer.Option(
            "--folder",
            metavar="DIR",
            help="Write an installable package there, for a use case that is kept outside this checkout.",
            file_okay=False,
        ),
    ] = None,
    title: Annotated[str, typer.Option("--title", help="What people call it; made of the name where left out.")] = "",
) -> None:
    """Write a small use case that works, with its simulator and its tests."""
    fault = name_error(name)
    if fault is not None:
        raise fault
    taken = use_case_registry.packages().get(name)
    if taken is not None:
        raise VigieError(f"There is a use case {name!r} already, in {taken}.", action="Choose another name.")
    written = write(name, title or name.replace("_", " ").capitalize(), folder)
    out.print(f"[bold]{name}[/] is written:")
    for file in written:
        out.print(f"  {_display_path(file)}")
    out.print("\nIt works as it is, on data of its own simulator:")
    before = "" if folder is None else f"VIGIE_EXTRA_USE_CASES={name} PYTHONPATH={_display_path(folder)} "
    tests = next(file for file in written if file.name.startswith("test_"))
    out.print(f"  {before}./vigie run {name} --source simulator", soft_wrap=True)
    out.print(f"  {before}./vigie test -- {_display_path(tests)}", soft_wrap=True)
    if folder is not None:
        out.print(f"Or install it: .venv/bin/uv pip install {_display_path(folder)}", soft_wrap=True)
    out.print("Make it yours: docs/add-a-use-case.md says what to replace.")


def write(name: str, title: str, folder: Path | None) -> list[Path]:
    """Write the template's files, into the checkout or as a project of its own into ``folder``.

    Raises:
        VigieError: one of the files exists; nothing is written then.
    """
    own = folder is None
    package = f"{OWN.replace('/', '.')}.{name}" if own else name
    words = {
        "name": name,
        "dashed": name.replace("_", "-"),
        "Class": "".join(part.capitalize() for part in name.split("_")),
        "title": title.replace('"', "'").replace("\\", ""),
        "package": package,
    }
    code = {path: f"{name}/{path.name}" for path in sorted((TEMPLATE / "package").glob("*.txt"))}
    tests = TEMPLATE / "tests" / "test_use_case.py.txt"
    if own:
        places = {path: f"{OWN}/{to}" for path, to in code.items()}
        places |= {
            tests: f"tests/unit/use_cases/{name}/test_{name}.py",
            TEMPLATE / "page.md.txt": f"docs/use-cases/{name}.md",
        }
    else:
        places = code | {tests: f"tests/test_{name}.py"}
        places |= {TEMPLATE / "pyproject.toml.txt": "pyproject.toml", TEMPLATE / "page.md.txt": "README.md"}
    root = CHECKOUT if folder is None else folder.resolve()
    files = {root / to.removesuffix(".txt"): Template(path.read_text("utf-8")) for path, to in places.items()}
    there = [file for file in files if file.exists()]
    if there:
        raise VigieError(f"{there[0]} is there already.", action="Choose another name or folder; nothing was written.")
    for file, text in files.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.substitute(words), encoding="utf-8")
    return list(files)


def _display_path(path: Path) -> str:
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
