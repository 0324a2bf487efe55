"""How wide the terminal is, and text that fits into it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence

NARROW = 100  # columns below which a row of a table is shown as lines, ``key: value``
SMALLEST = 20  # columns that are taken to be there, whatever the terminal says


def width() -> int | None:
    """Columns of standard output, as COLUMNS or the terminal says; None for a file or a pipe, which have no end."""
    return max(SMALLEST, shutil.get_terminal_size().columns) if sys.stdout.isatty() else None


def is_narrow(columns: int | None) -> bool:
    """Whether rows do not fit."""
    return columns is not None and columns < NARROW


def length(text: str) -> int:
    """Columns that a text takes; some letters take two."""
    from rich.cells import cell_len

    return cell_len(text)


def shortened(text: str, columns: int | None) -> str:
    """The text in so many columns, its end left out where it is longer; at least one character.

    >>> shortened("beside the sea", 10), shortened("beside the sea", None)
    ('beside th…', 'beside the sea')
    """
    from rich.cells import set_cell_size

    if columns is None or length(text) <= columns:
        return text
    return set_cell_size(text, max(1, columns - 1)).rstrip() + "…"


def block(rows: Sequence[tuple[str, str]], columns: int | None, *, whole: Sequence[str] = ()) -> list[str]:
    """Rows as lines ``key: value``, values of other keys than ``whole`` shortened to fit.

    >>> block([("link", "wm:7Q3F-K2ND"), ("asset", "a-very-long-name")], 14, whole=["link"])
    ['link: wm:7Q3F-K2ND', 'asset: a-very…']
    """
    return [
        f"{key}: {value if key in whole or columns is None else shortened(value, columns - len(key) - 2)}"
        for key, value in rows
    ]
