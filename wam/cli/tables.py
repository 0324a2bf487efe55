"""Tables on the terminal that cut nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import typer

from wam.cli import terminal

GAP = 2  # columns between those of a table


def fits(rows: Sequence[Mapping[str, str]], columns: int) -> bool:
    """Whether a table of rows, by their heads, has room."""
    return _width(rows) <= columns


def print_table(rows: Sequence[Mapping[str, str]]) -> None:
    """A line for the heads and one for each row."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, GAP, 0, 0))
    for head in rows[0]:
        table.add_column(head, no_wrap=True)
    for row in rows:
        table.add_row(*map(Text, row.values()))
    Console(width=_width(rows) + GAP).print(table)


def print_rows(rows: Sequence[Mapping[str, str]], columns: int | None, *, whole: Sequence[str]) -> None:
    """Rows as a table, or each as a block of what is known of it where a table has no room; ``whole``: heads of what a
    block never cuts."""
    if columns is None or fits(rows, columns):
        print_table(rows)
        return
    for row in rows:
        known = [(key, value) for key, value in row.items() if value != "-"]
        typer.echo("\n".join(["", *terminal.block(known, columns, whole=whole)]))


def _width(rows: Sequence[Mapping[str, str]]) -> int:
    """Columns of a table that cuts nothing."""
    return (
        sum(max(terminal.length(text) for text in (head, *(row[head] for row in rows))) + GAP for head in rows[0]) - GAP
    )
