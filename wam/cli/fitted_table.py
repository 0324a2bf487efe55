"""A table of whole cells that fits a terminal: columns go, the least important first, before a cell is cut."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table


def fitted_table(
    heads: Mapping[str, str],
    rows: Sequence[Mapping[str, str]],
    *,
    spared: Sequence[str],
    texts: Collection[str],
    columns: int,
) -> Table:
    """Rows by the names of ``heads``, at most ``columns`` wide as long as leaving out columns of ``spared``, the first
    first, is enough; those of ``texts`` are at the left of their column, others are numbers."""
    from rich.cells import cell_len
    from rich.table import Table

    widths = {
        name: max(cell_len(text) for text in (head, *(row[name] for row in rows))) for name, head in heads.items()
    }
    left = list(heads)
    for name in spared:
        if sum(widths[one] + 2 for one in left) - 2 <= columns:
            break
        if name in left:
            left.remove(name)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in left:
        table.add_column(heads[name], justify="left" if name in texts else "right", no_wrap=True)
    for row in rows:
        table.add_row(*(row[name] for name in left))
    return table
