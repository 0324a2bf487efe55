"""One sheet on a picture that was traced: what was found in it, by what, and what that does and does not say.

A page that is one file and prints on a sheet of A4. Whoever needs a PDF prints it to one.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources

import numpy as np
from PIL import Image

from wam.errors import show_name
from wam.html_page import framed
from wam.pictures.overlay import overlay
from wam.pictures.samples import Picture
from wam.pipeline.chance import NAME_IF, TESTED
from wam.pipeline.contract import region_of
from wam.pipeline.trace import OtherMarkObject, TraceObject
from wam.region import Region

LONGEST = 1400  # pixels of the picture's longer side on the sheet
QUALITY = 85  # of its JPEG
MOST_MARKS = 4  # whose records are written out; others are in the picture, and counted
MOST_OTHERS, FEW_OTHERS = 6, 2  # marks of an asset that a sheet has room for beside one mark, and beside several

NOT_PROVEN = (
    "That the person in the record did anything: it says for whom this copy was made, not how it came here.",
    "That the picture is unchanged: a retouched face, a changed number or another caption does not show.",
    "That nobody copied the mark here, unless it says above that it lies on the picture that was marked.",
    f"More than the tests bear out: {TESTED.limits}.",
)
NEGATIVE = "with light and dark exchanged: the picture is a negative, or more of the mark was subtracted than was there"
UNTESTED = (
    "This model was not tested with this search: nothing is borne out about how often it is wrong.",
    'Where a chance above says "tested", that was another version of model or search.',
)


@dataclass(frozen=True)
class Circumstances:
    """Of the reading: the ``name`` of the file and the ``sha256`` of its content; the ``model`` by name and the
    ``model_sha256`` of its file; ``version`` of the toolkit, the ``command``, and ``read_at`` in RFC 3339; ``meaning``:
    what a match of this model means, None where it was not tested."""

    name: str
    sha256: str
    model: str
    model_sha256: str
    version: str
    command: str
    read_at: str
    meaning: Sequence[str] | None


def evidence_page(picture: Picture, traces: Sequence[TraceObject], about: Circumstances, *, reason: str | None) -> str:
    """The page; ``reason`` why not all of the file was searched."""
    style = resources.files("wam.jobs").joinpath("evidence_page.css").read_text(encoding="utf-8")
    most = MOST_OTHERS if len(traces) < 2 else FEW_OTHERS
    marks = "".join(_mark(number, one, most) for number, one in enumerate(traces[:MOST_MARKS], start=1))
    body = [_figure(picture, traces), f'<div class="{"several" if len(traces) > 1 else "one"}">{marks}</div>']
    if not traces:
        body.append("<p>No watermark was found. That does not say that there never was one.</p>")
    if len(traces) > MOST_MARKS:
        body.append(f"<p>{len(traces) - MOST_MARKS} more marks are outlined above; the JSON has them all.</p>")
    if reason is not None:
        body.append(f"<p>Not all of the file was searched: {escape(reason)}.</p>")
    body += [_circumstances(about), _meaning(about)]
    return framed(f"Trace of {show_name(about.name)}", "\n".join(body) + "\n", style=style)


def _figure(picture: Picture, traces: Sequence[TraceObject]) -> str:
    """The picture, small, with each mark outlined."""
    image = Image.fromarray(picture.pixels)
    scale = min(1.0, LONGEST / max(image.size))
    small = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))
    regions = [_scaled(region_of(one["watermark"]["region"]), scale) for one in traces]
    captions = [_caption(one) for one in traces]
    buffer = io.BytesIO()
    overlay(np.asarray(small), regions, captions).save(buffer, "JPEG", quality=QUALITY)
    code = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f'<figure><img alt="the picture, marks outlined" src="data:image/jpeg;base64,{code}"></figure>'


def _caption(one: TraceObject) -> str:
    record = one["watermark"]["record"]
    return show_name((record["user"] or record["asset"]) if record else one["watermark"]["status"])


def _scaled(region: Region, scale: float) -> Region:
    x, y, width, height = (round(value * scale) for value in region.bbox)
    polygons = tuple(tuple((round(x * scale), round(y * scale)) for x, y in polygon) for polygon in region.polygons)
    return Region((x, y, width, height), region.area, polygons)


def _mark(number: int, one: TraceObject, most: int) -> str:
    said = one["watermark"]
    record, (x, y, width, height) = said["record"], said["region"]["bbox"]
    rows: list[tuple[str, str]] = [("status", said["status"])]
    if said["pose"].get("negative"):
        rows.append(("read", NEGATIVE))
    if record is not None:
        rows += [
            ("recipient (user)", record["user"] or "none was recorded"),
            ("asset, owner", f"{record['asset']}, {record['owner']}"),
            ("time in the record", record["ingested_at"]),
        ]
    if said["link"] is not None:
        rows.append(("link", f"{said['link']}" + (f", known to {said['registry']}" if said["registry"] else "")))
    rows.append(("region", f"x {x}, y {y}, {width} x {height} pixels, {said['region']['area']:.0%} of the picture"))
    rows.append(("chance of such a mark", f"{one['chance']}; in an unmarked picture"))
    if one["name_chance"] is not None:
        rows.append(("chance of a wrong name", f"{one['name_chance']}; {NAME_IF}"))
    if one["binding"] is not None:
        rows.append(("lies", one["binding"]))
    text = f"<section><h2>Mark {number}</h2>{_table(rows)}"
    if one["others"]:
        lines = [_other(other) for other in one["others"][:most]]
        more = one["others_in_all"] - len(lines)
        lines += [f"and {more} more"] if more > 0 else []
        text += f'<p class="small">Other marks of this asset, the newest first: {escape("; ".join(lines))}.</p>'
    return f"{text}</section>"


def _other(other: OtherMarkObject) -> str:
    record = other["record"]
    return f"{show_name(record['user'] or 'no user')} ({record['ingested_at'][:10]}, {other['state']})"


def _circumstances(about: Circumstances) -> str:
    rows = [
        ("file", about.name),
        ("SHA-256 of the file", about.sha256),
        ("model", about.model),
        ("SHA-256 of the model", about.model_sha256),
        ("read", f"{about.read_at} by wam-toolkit {about.version}"),
        ("command", about.command),
    ]
    return f"<section><h2>How it was read</h2>{_table(rows, code=True)}</section>"


def _meaning(about: Circumstances) -> str:
    sentences = UNTESTED if about.meaning is None else about.meaning
    meant = "".join(f"<li>{escape(text)}</li>" for text in sentences)
    unproven = "".join(f"<li>{escape(text)}</li>" for text in NOT_PROVEN)
    return (
        f'<section class="small"><h2>What the chance means</h2><ul>{meant}</ul>'
        f"<h2>What is not proven</h2><ul>{unproven}</ul></section>"
    )


def _table(rows: Iterable[tuple[str, str]], *, code: bool = False) -> str:
    opening, closing = ("<code>", "</code>") if code else ("", "")
    lines = (
        f"<tr><td>{escape(head)}</td><td>{opening}{escape(show_name(text))}{closing}</td></tr>" for head, text in rows
    )
    return f"<table>{''.join(lines)}</table>"
