"""The edge's own page: no script or style in it that the content security policy would have to allow."""

from __future__ import annotations

import re

from services.core.settings import CHECKOUT

SITE = CHECKOUT / "deploy" / "edge" / "site"


def test_nothing_is_inline_and_nothing_comes_from_elsewhere() -> None:
    page = (SITE / "index.html").read_text()
    assert re.findall(r"<style|\son\w+=|\sstyle=|<script(?! src=\"/)", page) == []
    assert re.findall(r"(?:src|href)=\"(?!/)[^\"]*", page) == []


def test_every_file_that_the_page_names_is_there() -> None:
    page = (SITE / "index.html").read_text()
    assert set(re.findall(r"(?:src|href)=\"/([\w.-]+)\"", page)) <= {file.name for file in SITE.iterdir()}


def test_both_languages_lead_to_the_same_places() -> None:
    english, french = (SITE / "index.html").read_text().split('<section lang="fr">')
    places = [set(re.findall(r"<a href=\"([^\"]+)", part)) for part in (english, french)]
    assert places[0] == places[1]
