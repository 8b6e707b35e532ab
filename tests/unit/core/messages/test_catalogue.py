"""Every text stands in both languages with the same gaps, and what services and pages ask for is there."""

from __future__ import annotations

import ast
import json
import re
import string
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from services.core.contract.use_case import Text
from services.core.messages import CATALOGUE, Formats, Message, render, sentences
from services.core.settings import CHECKOUT

FRENCH_ALONE = {"models.plots_english", "models.card_english"}
"""That something is in English needs no saying in English."""
EMPTY = {"monitoring.no_day"}
NARROW = "\u202f"


def _gaps(text: str) -> set[tuple[str, str | None]]:
    """Name and format of each gap."""
    return {(name, spec) for _, name, spec, _ in string.Formatter().parse(text) if name}


def _asked(path: Path) -> set[str]:
    """The keys that a module's calls of ``words`` and ``Message`` name."""
    modules = {key.partition(".")[0] for key in CATALOGUE}
    return {
        node.args[0].value
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
        and isinstance(node.func, ast.Name)
        and node.func.id in {"words", "Message"}
        and (node.func.id == "Message" or node.args[0].value.partition(".")[0] in modules)
    }


def test_every_text_is_there_in_both_languages() -> None:
    missing = [key for key, text in CATALOGUE.items() if not text.fr.strip() or not text.en.strip()]
    assert set(missing) <= FRENCH_ALONE | EMPTY


def test_a_text_has_the_same_gaps_in_both_languages() -> None:
    assert [key for key, text in CATALOGUE.items() if text.en and _gaps(text.en) != _gaps(text.fr)] == []


def test_a_gap_is_written_in_a_format_that_there_is() -> None:
    formats = {spec.partition(".")[0] for text in CATALOGUE.values() for _, spec in _gaps(text.fr) if spec}
    assert {"number", "percent", "moment"} <= formats
    assert [name for name in formats if not hasattr(Formats, name)] == []


def test_the_texts_that_services_and_pages_ask_for_are_there() -> None:
    files = sorted((CHECKOUT / "services").rglob("*.py"))
    missing = {path.name: absent for path in files if (absent := _asked(path) - set(CATALOGUE))}
    assert missing == {}


def test_the_texts_that_templates_ask_for_are_there() -> None:
    asked = {
        key
        for template in (CHECKOUT / "services").rglob("*.html")
        for key in re.findall(r'words\("([a-z_]+\.[a-z_]+)"', template.read_text())
    }
    assert "fallback.title" in asked
    assert asked <= set(CATALOGUE)


def test_a_message_survives_storage_and_is_written_as_each_language_does() -> None:
    when = Message("monitoring.since_moment", {"since": datetime(2026, 3, 1, 14, 5, tzinfo=UTC)})
    values = {"predicted": 0.64, "observed": 0.89, "count": 1670, "where": Message("monitoring.all_calls")}
    message = Message("monitoring.bias", values | {"target": Text("Late", "En retard"), "when": when})
    stored = json.loads(json.dumps(message.as_json()))
    assert sentences(stored) == sentences(message)
    assert render(stored, "en") == (
        "All calls: the model says 64% for 'Late' and it was 89%, on 1,670 calls, since 1 Mar 2026, 14:05 UTC."
    )
    assert render(stored, "fr") == (
        f"Tous les appels : le modèle dit 64{NARROW}% pour « En retard », c'était 89{NARROW}%, sur 1{NARROW}670 appels"
        ", depuis le 1 mars 2026, 14:05 UTC."
    )


def test_a_code_of_a_later_version_is_shown_as_it_is() -> None:
    assert render({"code": "monitoring.unheard_of", "values": {}}, "fr") == "monitoring.unheard_of"


def test_services_that_store_codes_alone_load_no_babel() -> None:
    program = "import sys; import services.core.messages; sys.exit('babel' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=CHECKOUT, check=False).returncode == 0
