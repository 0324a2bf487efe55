"""What ``wam detect --similar`` says: registered pictures that look like one, which are no watermarks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import typer

from wam.cli.mark_lines import names_in, record_cells
from wam.cli.tables import print_rows
from wam.errors import show_name

if TYPE_CHECKING:
    from wam.pipeline.contract_records import LookalikeObject, SimilarObject

BITS = 256


def print_similar(said: SimilarObject, columns: int | None, *, several: bool = False) -> None:
    """A line on all of them, then each as a row of a table, or as a block where that has no room; ``several``
    registries were asked."""
    if said["reason"] is not None:
        typer.echo(f"looks like: not looked for, since {said['reason']}")
        return
    if not said["pictures"]:
        typer.echo(f"looks like no registered picture, among {said['among']:,}")
        return
    count = len(said["pictures"])
    typer.echo(f"looks like {count} registered picture{'s' if count > 1 else ''}: no watermark and no proof")
    typer.echo(f"by chance among {said['among']:,} fingerprints: {share(said['false_match'])}, as far as was tested")
    records = [one["record"] for one in said["pictures"]]
    if len({(one["asset"], one["owner"], one["user"]) for one in records}) > len(
        {(one["asset"], one["owner"]) for one in records}
    ):
        typer.echo("copies for several users look the same: whose this one is, the order does not tell")
    rows = [_cells(one, several=several) for one in said["pictures"]]
    print_rows(rows, columns, whole=("bits", "link"))


def line_of(said: SimilarObject) -> str:
    """The end of a picture's line in a folder: the nearest, and how many more; nothing without any."""
    if not said["pictures"]:
        return ""
    first, more = said["pictures"][0], len(said["pictures"]) - 1
    named = " ".join(names_in(first["record"]))
    rest = f", {more} more" if more else ""
    return f"; looks like {first['link']} {named} ({first['distance']} of {BITS} bits{rest})"


def share(chance: float) -> str:
    """A chance at most, as people read it.

    >>> share(0.0014), share(1.0), share(0.14), share(0.0000014)
    ('at most .14%', 'not known', 'at most 14%', 'at most .00014%')
    """
    if chance >= 1:
        return "not known"
    text = f"{100 * chance:.2g}" if chance >= 1e-3 else f"{100 * chance:.6f}".rstrip("0")
    return f"at most {text.removeprefix('0')}%"


def _cells(one: LookalikeObject, *, several: bool) -> Mapping[str, str]:
    return {
        "bits": str(one["distance"]),
        "link": one["link"],
        **record_cells(one["record"]),
        "how": one["turned"] or "-",
        **({"registry": show_name(one["registry"])} if several else {}),
    }
