"""Public functions that take or return arrays state their shapes: `(n,)`, `(n, p)`, or that any shape will do."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.core.settings import CHECKOUT

SERVICES = CHECKOUT / "services"
ROOMS = ("core/contract", "core/bundle", "core/scoring", "training", "drift", "use_cases")
MODULES = sorted(path.relative_to(SERVICES).as_posix() for room in ROOMS for path in (SERVICES / room).rglob("*.py"))
ALIASES = {
    name
    for module in MODULES
    for name in re.findall(r"^(\w+) = NDArray\[", (SERVICES / module).read_text(), flags=re.MULTILINE)
}
ARRAY_TYPES = {"NDArray", "ndarray", "Columns", "Arrays", "SparseRows"} | ALIASES

Function = ast.FunctionDef | ast.AsyncFunctionDef


def mentions_arrays(function: Function) -> bool:
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    annotations = [function.returns, *(argument.annotation for argument in every if argument is not None)]
    return any(
        set(re.findall(r"\w+", ast.unparse(annotation))) & ARRAY_TYPES
        for annotation in annotations
        if annotation is not None
    )


def states_a_shape(docstring: str) -> bool:
    """`(n,)`, `(n, 3)`, `(repeats, n)` and `(n + 1,)` are shapes; `(low, high)` is not."""
    text = " ".join(docstring.split())
    one, word = r"(?:[a-z]|\d+|\.\.\.|[a-z] [-+*] \d+)", r"(?:[a-z][a-z_]*)"
    some = rf"(?:{one}|{word})"
    patterns = (rf"\({some},\)", rf"\((?:{some}, )*{one}(?:, {some})+\)", rf"\((?:{some}, )+{one}\)", r"\bany shape\b")
    return any(re.search(pattern, text) for pattern in patterns)


def public_functions(
    body: list[ast.stmt], inherited: str = "", prefix: str = ""
) -> Iterator[tuple[str, Function, str]]:
    """Name, node and docstring (with that of its class) of each public function and method."""
    for node in body:
        if not isinstance(node, Function | ast.ClassDef) or node.name.startswith("_"):
            continue
        documented = f"{inherited}\n{ast.get_docstring(node) or ''}"
        if isinstance(node, ast.ClassDef):
            yield from public_functions(node.body, documented, f"{prefix}{node.name}.")
        else:
            yield f"{prefix}{node.name}", node, documented


def functions_without_shapes(source: str) -> list[str]:
    functions = public_functions(ast.parse(source).body)
    return [name for name, node, text in functions if mentions_arrays(node) and not states_a_shape(text)]


@pytest.mark.parametrize("module", MODULES)
def test_public_functions_with_arrays_state_their_shapes(module: str) -> None:
    assert functions_without_shapes((SERVICES / module).read_text()) == [], "state shapes such as (n,) or (n, p)"


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("Rows, float64 (n,).", True),
        ("Matrices (n, p), one per name.", True),
        ("Parts in each repetition, int64 (repeats, n).", True),
        ("Pictures (side, side, 3).", True),
        ("Where rows start, int64 (n + 1,).", True),
        ("Arrays of any shape.", True),
        ("Sums of shape (..., s).", True),
        ("Bounds (low, high).", False),
        ("Rows (see there).", False),
        ("", False),
    ],
)
def test_shapes_are_distinguished_from_other_words_in_brackets(text: str, shape: bool) -> None:
    assert states_a_shape(text) is shape


def test_a_method_may_leave_the_shape_to_its_class_and_private_names_are_free() -> None:
    source = '''
class Rows:
    """Rows of a matrix (n, p)."""
    def mean(self) -> NDArray: ...
    def _sum(self) -> NDArray: ...
def first(values: Mapping[str, "NDArray[Any]"]) -> float:
    """The first."""
def name(path: Path) -> str: ...
'''
    assert functions_without_shapes(source) == ["first"]


def test_aliases_of_array_types_count_as_arrays() -> None:
    assert "Floats" in ARRAY_TYPES
    assert functions_without_shapes('def share(values: Floats) -> float:\n    """The share."""\n') == ["share"]


def test_every_room_is_read() -> None:
    for room in ROOMS:
        assert any(Path(module).is_relative_to(room) for module in MODULES), room
