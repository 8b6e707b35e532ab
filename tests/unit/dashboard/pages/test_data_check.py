"""What the page Data shows of a folder that was checked, before anything is stored."""

from __future__ import annotations

from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from services.core.messages import Language

FILE = {
    "file": "usagers-2019.csv",
    "table": "usagers",
    "rows": 30,
    "quarantined": 1,
    "findings": ["hrmn: digits are hours and minutes (30 rows)"],
    "sample": [{"accident": "201900900001", "severity": "4"}, {"accident": "<b>2</b>", "severity": ""}],
}
REFUSAL = {"problem": "2 (killed) in 53%", "expected": "at most 10%", "action": "Confirm with --confirm v1a2b3c4"}


def shown(language: Language, answer: dict[str, Any]) -> str:
    def page(language, answer):  # type: ignore[no-untyped-def]
        from services.core.auth.principal import Role
        from services.core.messages import Formats, Translator
        from services.dashboard.pages.data.preview import show_check
        from services.dashboard.session import Session, User

        user = User("u-1", "ada", Role.OPERATOR, "north", (), None)
        show_check(Session(user, Translator(language), Formats(language), None, False), answer)  # type: ignore[arg-type]

    app = AppTest.from_function(page, kwargs={"language": language, "answer": answer}).run(timeout=20)
    assert not app.exception
    return "\n".join(str(getattr(element, "value", "") or getattr(element.proto, "body", "")) for element in app.main)


@pytest.mark.parametrize(("language", "word"), [("en", "An ingestion would take"), ("fr", "Une ingestion accepterait")])
def test_files_are_shown_with_their_rows_as_read_and_what_was_left_aside(language: Language, word: str) -> None:
    answer = {"files": [FILE], "left_aside": {"page.csv": "a web page"}, "refusals": [], "notes": []}
    text = shown(language, answer)
    for part in (word, "usagers-2019.csv", "hrmn: digits", "201900900001", "page.csv", "a web page"):
        assert part in text
    assert "<b>2</b>" not in text


def test_a_refusal_is_shown_with_what_was_expected_and_the_code_that_confirms() -> None:
    answer = {"files": [], "left_aside": {}, "refusals": [REFUSAL], "notes": ["2 rows of a are not in b"]}
    text = shown("en", answer)
    for part in ("would be refused", "2 (killed) in 53%", "v1a2b3c4", "2 rows of a are not in b"):
        assert part in text
