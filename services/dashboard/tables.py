"""Tables as plain HTML: they appear at once, are read aloud with their headings and wrap on a phone."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st

Cell = str
"""Text. What is HTML already, such as a tag, stands in ``Html``."""


class Html(str):
    """A text that is HTML already."""

    __slots__ = ()


def table(caption: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]], *, numbers: Sequence[int] = ()) -> None:
    """``numbers``: indices of the columns that hold numbers, which stand to the right. The first names its row."""
    st.html(table_html(caption, columns, rows, numbers=numbers))


def table_html(
    caption: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]], *, numbers: Sequence[int] = ()
) -> str:
    aside = frozenset(numbers)

    def kind(at: int) -> str:
        return " class='n'" if at in aside else ""

    head = "".join(f"<th scope='col'{kind(at)}>{_inner(name)}</th>" for at, name in enumerate(columns))
    body = "".join(
        "<tr>"
        + "".join(
            f"<th scope='row'{kind(at)}>{_inner(cell)}</th>" if at == 0 else f"<td{kind(at)}>{_inner(cell)}</td>"
            for at, cell in enumerate(row)
        )
        + "</tr>"
        for row in rows
    )
    return (
        f"<div class='v-table-frame' tabindex='0' role='region' aria-label='{escape(caption, quote=True)}'>"
        f"<table class='v-table' aria-label='{escape(caption, quote=True)}'><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


def _inner(cell: Cell) -> str:
    return str(cell) if isinstance(cell, Html) else escape(cell)
