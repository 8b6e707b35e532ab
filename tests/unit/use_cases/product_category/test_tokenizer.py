"""Words as catalogues write them."""

from __future__ import annotations

import pytest

from services.use_cases.product_category.tokenizer import (
    character_ngrams,
    detect_language,
    strip_html,
    tokenize,
    word_endings,
)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("Chemise &agrave; carreaux", "Chemise à carreaux"),
        ("Caf&amp;eacute; &amp; th&#233;", "Café & thé"),
        ("<p>Une <b>belle</b><br/>robe</p>", "Une belle robe"),
        ("a <script>alert('x')</script> b <!-- hidden --> c", "a b c"),
        ("5 < 6 and 7 > 3", "5 < 6 and 7 > 3"),
        ("  many\n\n  blanks\t", "many blanks"),
    ],
)
def test_entities_and_tags_are_read_as_people_read_them(written: str, read: str) -> None:
    assert strip_html(written) == read


def test_accents_case_and_ligatures_make_no_other_word() -> None:
    assert tokenize("Œuvre ÉTÉ Straße GÜRTEL été") == ["oeuvre", "ete", "strasse", "gurtel", "ete"]


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("Chemise pour homme avec des carreaux et une poche", "fr"),
        ("Shirt for men with a pocket and the collar", "en"),
        ("Hemd für Herren mit Tasche und ohne Kragen", "de"),
        ("Nikon D3500", "unclear"),
        ("", "unclear"),
    ],
)
def test_the_language_is_told_by_frequent_words(text: str, spoken: str) -> None:
    assert detect_language(tokenize(strip_html(text))) == spoken


def test_pieces_know_where_a_word_begins_and_ends() -> None:
    found = set(character_ngrams(["sac"]))
    assert {"_sac_", "_sa", "ac_", "sac"} <= found
    assert word_endings(["sac", "a", "main"]) == ["^sac", "$main", "$a main", "$sac a main"]
    assert word_endings([]) == []


def test_a_long_text_of_half_open_tags_takes_no_time() -> None:
    assert len(strip_html("<" * 20_000)) == 20_000
    assert strip_html("<script" * 2_000).startswith("<script")
