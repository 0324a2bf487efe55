"""What ``wam detect --candidates`` says: records that a mark could be of, none of which it names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import typer

from wam.cli.mark_lines import names_in, record_cells
from wam.cli.tables import print_rows
from wam.errors import show_name

if TYPE_CHECKING:
    from wam.pipeline.contract import WatermarkObject
    from wam.pipeline.contract_records import CandidateObject

HINT = "a mark could be of a record here, which its word alone does not say: wam detect --candidates lists it"


def print_candidates(marks: Sequence[WatermarkObject], columns: int | None, *, several: bool = False) -> None:
    """A line on the records that each mark could be of, then each as a row of a table, or as a block where that has no
    room; ``several`` registries were asked."""
    for number, mark in enumerate(marks, start=1):
        found = mark.get("candidates", [])
        if not found:
            continue
        least = min(one["name_log10_p"] for one in found)
        what = "this record" if len(found) == 1 else f"any of {len(found)} records"
        typer.echo(f"mark {number} could be of {what}, as could be {one_of(least)} of other registries: not named")
        rows = [_cells(number, one, several=several) for one in found]
        print_rows(rows, columns, whole=("mark", "link"))


def candidates_line(marks: Sequence[WatermarkObject]) -> str:
    """The end of a picture's line in a folder: the first record that a mark could be of, and how many more."""
    found = [one for mark in marks for one in mark.get("candidates", [])]
    if not found:
        return ""
    named = " ".join(names_in(found[0]["record"]))
    rest = f", {len(found) - 1} more" if len(found) > 1 else ""
    return f"; could be {found[0]['link']} {named} (as {one_of(found[0]['name_log10_p'])} of other registries{rest})"


def one_of(log10_p: float) -> str:
    """A chance as a share of marks.

    >>> one_of(-0.62), one_of(-1.54), one_of(-0.01)
    ('1 of 4 marks', '1 of 35 marks', 'nearly every mark')
    """
    count = round(10**-log10_p)
    return f"1 of {count} marks" if count > 1 else "nearly every mark"


def _cells(number: int, one: CandidateObject, *, several: bool) -> Mapping[str, str]:
    return {
        "mark": str(number),
        "link": one["link"],
        **record_cells(one["record"]),
        "lies on": {"own": "its picture, it seems", "other": "another picture", "unbound": "-"}[one["binding"]],
        **({"registry": show_name(one["registry"])} if several else {}),
    }
