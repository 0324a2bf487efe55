"""A page for people that is one file: its own style, light or dark, for phones too, and tables that a click sorts.

It asks for nothing over a network, which its policy forbids as well.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources


@dataclass(frozen=True)
class Cell:
    """One cell of a table: its text, and what it is sorted by as a number; None: as the text it is."""

    text: str
    key: float | None = None
    numeric: bool = False


def framed(title: str, body: str, *, style: str = "") -> str:
    """The whole page around a body, which is HTML; ``style`` is added to the page's own."""
    page = resources.files("wam").joinpath("html_page.html").read_text(encoding="utf-8")
    for mark, text in (("<!-- title -->", escape(title)), ("/* style */\n", style), ("<!-- body -->\n", body)):
        page = page.replace(mark, text)
    return page


def table(heads: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """A table that is sorted by a click on one of its heads."""
    given = list(rows)
    numeric = [cell.numeric for cell in given[0]] if given else [False] * len(heads)
    top = "".join(map(_head, heads, numeric))
    lines = "".join(f"<tr>{''.join(map(_cell, row))}</tr>\n" for row in given)
    return f'<div class="wide"><table>\n<thead><tr>{top}</tr></thead>\n<tbody>\n{lines}</tbody></table></div>\n'


def image(content: bytes, kind: str, *, alt: str, name: str = "") -> str:
    """A picture as a part of the page; ``kind``: png or jpeg; ``name``: a class of the style."""
    code = base64.b64encode(content).decode("ascii")
    tag = f'<img class="{escape(name)}" alt="{escape(alt)}" src="data:image/{kind};base64,{code}">'
    return f'<div class="wide">{tag}</div>\n'


def _head(text: str, numeric: bool) -> str:
    name = ' class="number"' if numeric else ""
    return f'<th scope="col"{name}><button>{escape(text)}</button></th>'


def _cell(cell: Cell) -> str:
    if not cell.numeric:
        return f"<td>{escape(cell.text)}</td>"
    return f'<td class="number" data-key="{"" if cell.key is None else cell.key}">{escape(cell.text)}</td>'
