"""Names that two parts have to agree on are declared once: a literal copy would go its own way some day."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator

import pytest

from services.core import headers
from services.core.model_registry.version import ALIASES, Tag
from services.core.settings import CHECKOUT
from services.core.steps import drift_signal_asset, raw_data_asset

HEADERS = {str(value).lower() for name, value in vars(headers).items() if name.endswith("_HEADER")}
TAGS = {value for name, value in vars(Tag).items() if name.isupper()}
ASSETS = (raw_data_asset(""), drift_signal_asset(""))
ALIAS_CALLS = {
    "by_alias",
    "with_alias",
    "set_registered_model_alias",
    "delete_registered_model_alias",
    "get_model_version_by_alias",
}
SOURCES = [
    path for folder in ("services", "airflow", "monitoring", "benchmarks") for path in (CHECKOUT / folder).rglob("*.py")
]


def _text(node: ast.AST | None) -> str | None:
    """The text of a literal."""
    if not isinstance(node, ast.Constant) or not isinstance(node.value, str | bytes):
        return None
    return node.value.decode("latin-1") if isinstance(node.value, bytes) else node.value


def _is_about(node: ast.AST, name: str) -> bool:
    """Whether an expression ends in ``name``: ``version.tags``, ``version["tags"]``, ``tags``."""
    return re.search(rf"\b{name}['\"]?\]?(\(\))?$", ast.unparse(node)) is not None


def header_copies(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        text = (_text(node) or "").lower()
        if text in HEADERS or re.fullmatch(r"x-vigie-[a-z-]+", text):
            yield text


def asset_copies(tree: ast.AST) -> Iterator[str]:
    yield from (text for node in ast.walk(tree) if (text := _text(node) or "").startswith(ASSETS))


def tag_copies(tree: ast.AST) -> Iterator[str]:
    """Literal keys where a version's tags are read or written."""
    for node in ast.walk(tree):
        keys: list[ast.AST | None] = []
        if isinstance(node, ast.Subscript) and _is_about(node.value, "tags"):
            keys = [node.slice]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr == "get" and _is_about(node.func.value, "tags"):
                keys = [*node.args[:1]]
            elif node.func.attr == "annotate":
                keys = [key for inner in ast.walk(node) if isinstance(inner, ast.Dict) for key in inner.keys]
        elif isinstance(node, ast.FunctionDef) and node.name.endswith("tags"):
            keys = [key for inner in ast.walk(node) if isinstance(inner, ast.Dict) for key in inner.keys]
        yield from (text for key in keys if (text := _text(key)) in TAGS)


def alias_copies(tree: ast.AST) -> Iterator[str]:
    """Literal aliases where a version is looked up or pointed at by one, and other declarations of them."""
    for node in ast.walk(tree):
        literals: list[ast.AST] = []
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in ALIAS_CALLS:
            literals = [*node.args, *(keyword.value for keyword in node.keywords)]
        elif isinstance(node, ast.Compare) and any(
            _is_about(part, "alias(es)?") for part in (node.left, *node.comparators)
        ):
            literals = [node.left, *node.comparators]
        elif isinstance(node, ast.Assign):
            named = {name.id for t in node.targets for name in ast.walk(t) if isinstance(name, ast.Name)}
            if named & {"ALIASES", *(alias.upper() for alias in ALIASES)}:
                literals = [*ast.walk(node.value)]
        yield from (text for literal in literals if (text := _text(literal)) in ALIASES)


Copies = Callable[[ast.AST], Iterator[str]]
HOMES: dict[Copies, str] = {
    header_copies: "services/core/headers.py",
    asset_copies: "services/core/steps.py",
    tag_copies: "",
    alias_copies: "services/core/model_registry/version.py",
}


@pytest.mark.parametrize("copies", HOMES, ids=lambda copies: copies.__name__)
def test_no_part_has_a_copy_of_its_own(copies: Copies) -> None:
    found = {
        name: texts
        for path in SOURCES
        if (name := path.relative_to(CHECKOUT).as_posix()) != HOMES[copies]
        if (texts := sorted(set(copies(ast.parse(path.read_text(encoding="utf-8"))))))
    }
    assert found == {}


@pytest.mark.parametrize(
    ("copies", "code"),
    [
        (header_copies, 'headers = {"X-Vigie-Service": "drift"}'),
        (header_copies, 'NAME = b"x-api-key"'),
        (header_copies, 'headers = {"X-Vigie-Brand-New": "1"}'),
        (asset_copies, 'asset = f"drift_signal_{use_case}"'),
        (tag_copies, 'version.tags.get("rolled_back")'),
        (tag_copies, 'version["tags"]["gate"]'),
        (tag_copies, 'registry.annotate(version, {"follows": "1"})'),
        (tag_copies, 'def tags(self) -> dict[str, str]:\n    return {"gate": "passed"}'),
        (alias_copies, 'registry.by_alias("toy", "champion")'),
        (alias_copies, '"champion" in version.aliases'),
        (alias_copies, 'CHAMPION = "champion"'),
        (alias_copies, 'CHAMPION, PREVIOUS = "champion", "previous"'),
    ],
)
def test_a_copy_is_noticed(copies: Copies, code: str) -> None:
    assert list(copies(ast.parse(code)))


def test_the_edge_uses_no_header_that_is_not_declared() -> None:
    configured = re.findall(r"X-Vigie-[\w-]+", (CHECKOUT / "deploy" / "edge" / "Caddyfile").read_text())
    assert {name.lower() for name in configured} <= HEADERS
