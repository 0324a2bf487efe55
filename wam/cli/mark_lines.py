"""What people are shown of a picture's marks, in the columns there are: status and link are never cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from wam.cli import terminal
from wam.errors import show_name
from wam.pipeline.caption import Mark, show_mark, show_status
from wam.pipeline.chance import in_figures, show_chance

NAME_LOG10_P = -6.0  # from which on the chance of a name for a mark of another registry is shown
SHORTEST_NAME = 12  # columns of a picture's name in a folder's line, however many marks follow


def _chance(mark: Mark) -> str:
    """Of such a mark where there is none; and where that is not small, of a name for a mark of another registry."""
    name = mark.get("name_log10_p")
    shown = "" if name is None or name < NAME_LOG10_P else f" (name {in_figures(name)})"
    return show_chance(mark["log10_p"]) + shown


def _registry(mark: Mark) -> str:
    """The registry that knows a mark, and how many others know its word as something else."""
    if mark.get("registry") is None:
        return "-"
    others = f" (and {len(mark['also_in'])} more know this word)" if mark["also_in"] else ""
    return show_name(mark["registry"]) + others


def cells(mark: Mark, *, several: bool = False) -> dict[str, str]:
    """What the table shows of one mark, by the columns' heads; ``several`` registries were asked."""
    x, y, width, height = mark["region"]["bbox"]
    return {
        "status": show_status(mark),
        "link": show_mark(mark),
        **record_cells(_record_of(mark)),
        "region x,y wxh": f"{x},{y} {width}x{height}",
        "area": f"{mark['region']['area']:.0%}",
        "chance": _chance(mark),
        **({"registry": _registry(mark)} if several else {}),
    }


def block(number: int, mark: Mark, columns: int, *, several: bool = False) -> list[str]:
    """One mark as lines ``key: value``, what is not known left out."""
    shown = cells(mark, several=several)
    chance = shown.pop("chance")
    shown |= {"region": f"{shown.pop('region x,y wxh')} ({shown.pop('area')})", "chance": chance}
    rows = [("mark", str(number)), *((key, value) for key, value in shown.items() if value != "-")]
    return terminal.block(rows, columns, whole=("mark", "status", "link"))


def picture_line(name: str, found: Sequence[Mark], columns: int | None, *, several: bool = False) -> str:
    """One picture of a folder: each mark's status and link, its record where there is room, the name cut at its
    beginning where there is none."""
    if not found:
        return f"{_end_of(name, columns and columns - len(': no watermark'))}: no watermark"
    marks = [f"{show_status(one)} {show_mark(one)}" for one in found]
    full = [" ".join([mark, *names_in(_record_of(one))]) for mark, one in zip(marks, found, strict=True)]
    if several:
        places = [_registry(one) for one in found]
        full = [f"{mark} in {place}" if place != "-" else mark for mark, place in zip(full, places, strict=True)]
    line = f"{name}: {'; '.join(full)}"
    if columns is None or terminal.length(line) <= columns:
        return line
    short = "; ".join(marks)
    line = f"{_end_of(name, columns - terminal.length(short) - 2)}: {short}"
    if len(full) == 1 and terminal.length(line) + 4 < columns:
        return terminal.shortened(f"{line}{full[0][len(marks[0]) :]}", columns)
    return line


def record_cells(record: Mapping[str, Any]) -> dict[str, str]:
    """What tables show of a record, by the columns' heads; ``-`` for what is not known."""
    heads = {"asset": "asset", "owner": "owner", "user": "user", "ingested": "ingested_at"}
    return {head: show_name(record.get(field) or "-") for head, field in heads.items()}


def names_in(record: Mapping[str, Any]) -> list[str]:
    """Asset, owner and user of a record, as far as they are known."""
    return [show_name(part) for field in ("asset", "owner", "user") if (part := record.get(field))]


def _record_of(mark: Mark) -> Mapping[str, Any]:
    """The record of a mark; where a service does not give it out, whose mark it says it is."""
    return mark["record"] or {"owner": mark.get("marked_by")}


def _end_of(name: str, columns: int | None) -> str:
    """The end of a name, which tells files apart, in so many columns."""
    if columns is None or len(name) <= max(columns, SHORTEST_NAME):
        return name
    return "…" + name[1 - max(columns, SHORTEST_NAME) :]
