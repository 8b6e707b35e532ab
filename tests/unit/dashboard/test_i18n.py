"""Every text stands in both languages with the same gaps, and what the pages ask for is there."""

from __future__ import annotations

import ast
import string
from pathlib import Path

from services.core.settings import CHECKOUT
from services.dashboard.i18n import CATALOGUE

FRENCH_ALONE = {"models.plots_english", "models.card_english"}
"""That something is in English needs no saying in English."""


def _gaps(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def _asked(path: Path) -> set[str]:
    """The keys that a module's calls of ``words`` name."""
    modules = {key.partition(".")[0] for key in CATALOGUE}
    return {
        node.args[0].value
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
        and isinstance(node.func, ast.Name)
        and node.func.id == "words"
        and node.args[0].value.partition(".")[0] in modules
    }


def test_every_text_is_there_in_both_languages() -> None:
    missing = [key for key, text in CATALOGUE.items() if not text.fr.strip() or not text.en.strip()]
    assert set(missing) <= FRENCH_ALONE


def test_a_text_has_the_same_gaps_in_both_languages() -> None:
    assert [key for key, text in CATALOGUE.items() if text.en and _gaps(text.en) != _gaps(text.fr)] == []


def test_the_texts_that_pages_ask_for_are_there() -> None:
    pages = sorted((CHECKOUT / "services" / "dashboard").rglob("*.py"))
    missing = {path.name: absent for path in pages if (absent := _asked(path) - set(CATALOGUE))}
    assert missing == {}
