"""A report of ``detect`` for people: a table for a spreadsheet, and a page with thumbnails that is one file."""

from __future__ import annotations

import base64
import csv
import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from PIL import Image

from wam.errors import WamError, show_name
from wam.html_page import framed
from wam.pictures.files import write_text
from wam.pictures.overlay import overlay
from wam.pictures.reader import decode
from wam.pictures.storage import fetch, locate
from wam.pipeline.caption import show_status
from wam.pipeline.chance import show_chance
from wam.region import Region

Row = dict[str, Any]
Write = Callable[[TextIO, Iterable[Row]], None]

COLUMNS = (
    "image", "number", "status", "link", "asset", "owner", "user", "ingested_at", "x", "y", "width", "height", "area",
    "log10_p", "transplanted", "error", "registry", "distance", "turned", "negative",
)  # fmt: skip
ALIKE = "looks like"  # in place of a mark's status
COULD_BE = "could be"  # the same of a record that a mark could be of
THUMBNAIL = 240  # pixels of the longer side
MOST_THUMBNAILS = 2000  # of a page, some 10 kB each
QUALITY = 70  # of a thumbnail's JPEG


def write_page(path: Path, rows: Iterable[Row]) -> None:
    """Writes the report that a name ends in, whole or not at all; raises ``ImageError`` where that is not possible."""
    write_text(path, lambda stream: WRITERS[path.suffix.lower()](stream, rows))


def write_csv(stream: TextIO, rows: Iterable[Row]) -> None:
    """A row for each mark and each record that it could be of, and one for each picture without any or that could not
    be read; then one for each registered picture that looks alike: the status says so."""
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for values in rows:
        for number, mark in enumerate(values["watermarks"], start=1):
            writer.writerow({name: _plain(text) for name, text in _mark_cells(values, number, mark).items()})
            for one in mark.get("candidates", ()):
                cells = {"image": values["image"], "number": number, "status": COULD_BE, **one["record"]}
                cells |= {name: one[name] for name in ("link", "registry")}
                writer.writerow({name: _plain(text) for name, text in cells.items()})
        if not values["watermarks"]:
            status = "none" if values["error"] is None else "not read"
            cells = {"image": values["image"], "status": status, "error": values["error"]}
            writer.writerow({name: _plain(text) for name, text in cells.items()})
        for one in alike(values):
            cells = {"image": values["image"], "status": ALIKE, **one["record"]}
            cells |= {name: one[name] for name in ("link", "registry", "distance", "turned")}
            writer.writerow({name: _plain(text) for name, text in cells.items()})


def alike(values: Row) -> list[Row]:
    """The registered pictures that look alike, where such were looked for."""
    found: list[Row] = (values.get("similar") or {}).get("pictures", [])
    return found


def _mark_cells(values: Row, number: int, mark: Row) -> dict[str, Any]:
    record = mark["record"] or {}
    names = ("asset", "owner", "user", "ingested_at")
    return {
        "image": values["image"],
        "number": number,
        **{name: mark[name] for name in ("status", "link", "log10_p", "transplanted")},
        **{name: record.get(name) for name in names},
        **dict(zip(("x", "y", "width", "height"), mark["region"]["bbox"], strict=True)),
        "area": mark["region"]["area"],
        "registry": mark.get("registry"),  # reports of 0.2.0 have none
        "negative": (mark.get("pose") or {}).get("negative"),  # nor that
    }


def _plain(value: Any) -> Any:
    """A cell that no spreadsheet takes for a formula: names come from whoever marked the picture."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


def write_html(stream: TextIO, rows: Iterable[Row]) -> None:
    """A page of the pictures with marks and those that could not be read, to be sorted by a click; those without a mark
    are counted."""
    counts, lines = Counter[str](), list[str]()
    for values in rows:
        kind = "failed" if values["error"] is not None else "marked" if values["watermarks"] else "unmarked"
        counts[kind] += 1
        counts[ALIKE] += bool(alike(values))
        if kind == "failed":
            lines.append(_html_row("", values["image"], 0, {"status": "not read"}, values["error"]))
        elif kind == "marked":
            thumbnail = _thumbnail(values) if counts["marked"] <= MOST_THUMBNAILS else ""
            for number, mark in enumerate(values["watermarks"], start=1):
                lines.append(_html_row(thumbnail if number == 1 else "", values["image"], number, mark, ""))
                for one in mark.get("candidates", ()):
                    lines.append(_html_row("", values["image"], number, {**one, "status": COULD_BE}, "not named"))
        for one in alike(values):
            apart = f"{one['distance']} of 256 bits differ{', ' if one['turned'] else ''}{one['turned']}: no watermark"
            lines.append(_html_row("", values["image"], 0, {**one, "status": ALIKE}, apart))
    body, style = (
        resources.files("wam.jobs").joinpath(f"report_page.{kind}").read_text(encoding="utf-8")
        for kind in ("html", "css")
    )
    head, foot = framed("Watermarks found", body, style=style).split("<!-- rows -->\n")
    stream.write(head.replace("<!-- summary -->", _summary(counts)))
    stream.writelines(lines)
    stream.write(foot)


def _summary(counts: Counter[str]) -> str:
    text = f"{counts['marked']:,} with watermarks, {counts['unmarked']:,} without, {counts['failed']:,} not read"
    if counts[ALIKE]:
        text += f"; {counts[ALIKE]:,} look like registered pictures"
    if counts["marked"] > MOST_THUMBNAILS:
        text += f"; thumbnails of the first {MOST_THUMBNAILS:,}"
    return text


def _html_row(thumbnail: str, image: str, number: int, mark: Row, error: str) -> str:
    """One mark, or one picture that could not be read; a number to sort by where the text does not tell."""
    record = mark.get("record") or {}
    region, chance = mark.get("region"), mark.get("log10_p")
    texts = [image, f"{number or ''}", show_status(mark)]
    texts += [mark.get("link") or "", *(record.get(name) or "" for name in ("asset", "owner", "user"))]
    texts.append((record.get("ingested_at") or "").replace("T", " ").removesuffix("Z"))
    cells = "".join(f"<td>{escape(show_name(text))}</td>" for text in texts)
    share = "" if region is None else f"{region['area']:.0%}"
    cells += f'<td data-key="{0 if region is None else region["area"]}">{share}</td>'
    cells += (
        f'<td data-key="{0 if chance is None else chance}">{"" if chance is None else escape(show_chance(chance))}</td>'
    )
    return f'<tr class="{escape(mark["status"])}"><td>{thumbnail}</td>{cells}<td>{escape(error)}</td></tr>\n'


def _thumbnail(values: Row) -> str:
    """The picture with its marks outlined, small, as a part of the page; nothing where it is no longer there."""
    try:
        content, name = fetch(locate(values["image"])) if values["image"] != "-" else (b"", "")
        pixels = decode(content, name=name).pixels
    except WamError:
        return ""
    regions = [_region(mark["region"]) for mark in values["watermarks"]]
    picture = Image.fromarray(pixels)
    scale = min(1.0, THUMBNAIL / max(picture.size))
    small = picture.resize((max(1, round(picture.width * scale)), max(1, round(picture.height * scale))))
    outlined = overlay(np.asarray(small), [_scaled(region, scale) for region in regions], [""] * len(regions))
    buffer = io.BytesIO()
    outlined.save(buffer, "JPEG", quality=QUALITY)
    code = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f'<img alt="" width="{small.width}" height="{small.height}" src="data:image/jpeg;base64,{code}">'


def _region(values: Row) -> Region:
    polygons = tuple(tuple((x, y) for x, y in polygon) for polygon in values["polygons"])
    x, y, width, height = values["bbox"]
    return Region((x, y, width, height), values["area"], polygons)


def _scaled(region: Region, scale: float) -> Region:
    x, y, width, height = (round(value * scale) for value in region.bbox)
    polygons = tuple(tuple((round(x * scale), round(y * scale)) for x, y in polygon) for polygon in region.polygons)
    return Region((x, y, width, height), region.area, polygons)


def only_found(rows: Iterable[Row]) -> Iterator[Row]:
    """The rows of pictures with marks or that look like registered ones, and of those that could not be read."""
    return (values for values in rows if values["watermarks"] or alike(values) or values["error"] is not None)


WRITERS: Mapping[str, Write] = {".csv": write_csv, ".html": write_html}
