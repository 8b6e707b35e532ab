"""Codes of departments and communes, and road names, in one spelling.

The request's validators and the reader of the official files both use these functions, so that a caller
and a file that mean the same place write the same text. Standard library alone.
"""

from __future__ import annotations

import re
import unicodedata

_NOT_NAMES = {
    "",
    "UNKNOWN",
    "INCONNU",
    "INCONNUE",
    "NC",
    "NR",
    "ND",
    "PK",
    "PR",
    "RAS",
    "SANS",
    "TOUTES RUES",
    "NON RENSEIGNE",
}
_ABBREVIATIONS = {
    "AV": "AVENUE",
    "AVE": "AVENUE",
    "BD": "BOULEVARD",
    "BLD": "BOULEVARD",
    "BLVD": "BOULEVARD",
    "BVD": "BOULEVARD",
    "CHE": "CHEMIN",
    "CHEM": "CHEMIN",
    "CRS": "COURS",
    "DR": "DOCTEUR",
    "FBG": "FAUBOURG",
    "GAL": "GENERAL",
    "GEN": "GENERAL",
    "IMP": "IMPASSE",
    "MAL": "MARECHAL",
    "PL": "PLACE",
    "PDT": "PRESIDENT",
    "R": "RUE",
    "RPT": "ROND POINT",
    "RTE": "ROUTE",
    "SQ": "SQUARE",
    "ST": "SAINT",
    "STE": "SAINTE",
}
_SMALL = {"DE", "DU", "DES", "LA", "LE", "LES", "L", "D", "ET", "A", "AU", "AUX"}
_NUMBERED = re.compile(r"\b(R[DNTM]|CD|[ADNM]) ?0*([1-9]\d{0,3})(?!\d)")
_WRITTEN_OUT = re.compile(r"\b(?:ROUTE )?(NATIONALE|DEPARTEMENTALE) (?:N |NO |NUMERO )?0*([1-9]\d{0,3})\b")
_PARTS = re.compile(r"[^A-Z0-9]+")
_HOUSE_NUMBER = re.compile(r"^\d+[A-Z]?$")


def department_code(text: str) -> str:
    """``"1"`` and ``" 01"`` are ``"01"``, ``"2a"`` is ``"2A"``."""
    code = text.strip().upper()
    return code.zfill(2) if code.isascii() and code.isdigit() else code


def commune_code(text: str) -> str:
    """INSEE codes have five characters: ``"1004"`` is ``"01004"``, ``"2a004"`` is ``"2A004"``."""
    code = text.strip().upper()
    return code.zfill(5) if code.isascii() and code.isdigit() else code


def department_of(commune: str) -> str:
    """The department of a commune code; overseas they take three characters."""
    return commune[:3] if commune.startswith(("97", "98")) else commune[:2]


def road_name(text: str) -> str:
    """A road's name without accents, case, house number, word order and the usual abbreviations:
    ``"D'HAUTPOUL (RUE)"`` and ``"12 rue d'Hautpoul"`` are one road. Numbered roads are their number:
    ``"RD 918"`` is ``"D918"``. Empty where the text names no road."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().upper().partition("/")[0]
    spaced = _PARTS.sub(" ", plain).strip()
    if spaced in _NOT_NAMES:
        return ""
    numbered = _NUMBERED.search(spaced)
    if numbered:
        return numbered[1][-1].replace("T", "N") + numbered[2]
    written = _WRITTEN_OUT.search(spaced)
    if written:
        return written[1][0] + written[2]
    words = " ".join(_ABBREVIATIONS.get(word, word) for word in spaced.split()).split()
    names = sorted({word for word in words if word not in _SMALL and not _HOUSE_NUMBER.match(word)})
    name = " ".join(names)
    return "" if name in _NOT_NAMES else name
