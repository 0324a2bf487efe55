"""What people are shown of a picture's marks, in the columns there are: status and link are never cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wam.cli import terminal
from wam.errors import show_name

if TYPE_CHECKING:
    from wam.pipeline.read import AnyReading, Findings

SHORTEST_NAME = 12  # columns of a picture's name in a folder's line, however many marks follow


def show_mark(reading: AnyReading) -> str:
    """The short link, or how much of a record there is."""
    from wam.pipeline.record_marks import FoundRecord

    if isinstance(reading, FoundRecord):
        return f"record, {reading.reading.read} of {reading.reading.embedded or '?'} marks"
    return reading.link or "-"


def show_status(reading: AnyReading) -> str:
    """The status, and whether the mark seems to be another picture's."""
    return reading.status + (" (transplanted?)" if reading.transplanted else "")


def _registry(reading: AnyReading) -> str:
    """The registry that knows a mark, and how many others know its word as something else."""
    from wam.pipeline.record_marks import FoundRecord

    if isinstance(reading, FoundRecord) or reading.registry is None:
        return "-"
    others = f" (and {len(reading.also_in)} more know this word)" if reading.also_in else ""
    return show_name(reading.registry) + others


def cells(reading: AnyReading, *, several: bool = False) -> dict[str, str]:
    """What the table shows of one mark, by the columns' heads; ``several`` registries were asked."""
    record = reading.record.to_dict() if reading.record else {}
    x, y, width, height = reading.region.bbox
    asset, owner, user, time = (
        show_name(record.get(field) or "-") for field in ("asset", "owner", "user", "ingested_at")
    )
    return {
        "status": show_status(reading),
        "link": show_mark(reading),
        "asset": asset,
        "owner": owner,
        "user": user,
        "ingested": time,
        "region x,y wxh": f"{x},{y} {width}x{height}",
        "area": f"{reading.region.area:.0%}",
        "chance": f"1e{reading.log10_p:.0f}",
        **({"registry": _registry(reading)} if several else {}),
    }


def block(number: int, reading: AnyReading, columns: int, *, several: bool = False) -> list[str]:
    """One mark as lines ``key: value``, what is not known left out."""
    shown = cells(reading, several=several)
    chance = shown.pop("chance")
    shown |= {"region": f"{shown.pop('region x,y wxh')} ({shown.pop('area')})", "chance": chance}
    rows = [("mark", str(number)), *((key, value) for key, value in shown.items() if value != "-")]
    return terminal.block(rows, columns, whole=("mark", "status", "link"))


def picture_line(name: str, findings: Findings, columns: int | None) -> str:
    """One picture of a folder: each mark's status and link, its record where there is room, the name cut at its
    beginning where there is none."""
    if not findings.readings:
        return f"{_end_of(name, columns and columns - len(': no watermark'))}: no watermark"
    marks = [f"{show_status(one)} {show_mark(one)}" for one in findings.readings]
    full = [" ".join([mark, *_named(one)]) for mark, one in zip(marks, findings.readings, strict=True)]
    if findings.registries > 1:
        places = [_registry(one) for one in findings.readings]
        full = [f"{mark} in {place}" if place != "-" else mark for mark, place in zip(full, places, strict=True)]
    line = f"{name}: {'; '.join(full)}"
    if columns is None or terminal.length(line) <= columns:
        return line
    short = "; ".join(marks)
    line = f"{_end_of(name, columns - terminal.length(short) - 2)}: {short}"
    if len(full) == 1 and terminal.length(line) + 4 < columns:
        return terminal.shortened(f"{line}{full[0][len(marks[0]) :]}", columns)
    return line


def _named(reading: AnyReading) -> list[str]:
    record = reading.record
    return [] if record is None else [show_name(part) for part in (record.asset, record.owner, record.user) if part]


def _end_of(name: str, columns: int | None) -> str:
    """The end of a name, which tells files apart, in so many columns."""
    if columns is None or len(name) <= max(columns, SHORTEST_NAME):
        return name
    return "…" + name[1 - max(columns, SHORTEST_NAME) :]
