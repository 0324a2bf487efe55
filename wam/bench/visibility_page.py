"""The files of ``wam bench --visibility``: a page that is one file, a table, and one JPEG with the worst pictures."""

from __future__ import annotations

import io
from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from wam.bench.perception import how_to_install
from wam.bench.sheet import AMPLIFIED
from wam.bench.visibility import FIGURES, LESS_IS_WORSE, Look, Visibility, marked_path, shown, summaries, write_table
from wam.html_page import Cell, framed, image, table
from wam.pictures.files import write_bytes, write_text
from wam.pictures.samples import Pixels

PAGE, TABLE, SHEET = "visibility.html", "visibility.csv", "contact-sheet.jpg"
ENLARGED = 2
MOST_SHOWN = 60  # pictures of the page; the table has all
MOST_ROWS = 10  # of the contact sheet
JPEG_QUALITY = 95
GAP, LINE = 8, 26  # pixels of the contact sheet
PAPER, INK = (255, 255, 255), (32, 32, 32)
SUMMED = ("cvvdp_jod", "flip", "psnr_db", "over_noise", "repeats")
TITLES = ("original", "marked", f"difference x{AMPLIFIED}")
LEGEND = (
    "CVVDP: ColorVideoVDP of the whole picture in JOD, 10 where no difference is seen, less is worse · FLIP: mean of "
    "the whole picture, 0 where none is seen, more is worse · PSNR in dB, less is worse · residual: rms of the mark in "
    "luma in the smoothest part, 8-bit levels · noise: the picture's own there · ratio: residual over noise, which is "
    "counted as .35 or more; above 1 a mark can be seen at a closer look · repeats: correlation of the mark with "
    "itself one period on, in all smooth places; near 1 it is a wallpaper, which eyes find more easily than noise"
)
STYLE = """h2 { font-size: 1.05rem; margin: 1.6rem 0 .4rem; }
td, th { overflow-wrap: normal; }
td:first-child { white-space: nowrap; }
.legend { font-size: .85em; }
.panels { display: flex; gap: 6px; overflow-x: auto; }
.panels figure { margin: 0; flex: none; }
.panels figcaption { font-size: .8em; opacity: .8; }
.panels img { max-width: none; image-rendering: pixelated; }
.failed { color: var(--bad); }
dt { font-weight: 600; } dd { margin: 0 0 .4rem; font-family: ui-monospace, monospace; font-size: .9em; }
"""


def write_files(folder: Path, report: Visibility) -> list[str]:
    """The page, the table and, where a picture could be measured, the contact sheet; their names."""
    write_text(folder / PAGE, lambda stream: stream.write(page(report)))
    write_table(folder / TABLE, report)
    if not report.looks:
        return [PAGE, TABLE]
    write_bytes(folder / SHEET, sheet(report))
    return [PAGE, TABLE, SHEET]


def page(report: Visibility) -> str:
    """The whole report as a page that is one file."""
    several = len({look.entrant for look in report.looks}) > 1
    parts = ["<p>Pictures marked and saved with 8 bits, looked at where they are smoothest; the worst first.</p>\n"]
    if report.absent:
        parts.append(f'<p class="failed">{escape(how_to_install(report.absent))}</p>\n')
    if report.looks:
        parts += ["<h2>All pictures</h2>\n", _summary_table(report), "<h2>Each picture</h2>\n"]
        parts += [_table(report, several=several), f'<p class="legend">{escape(LEGEND)}</p>\n']
    for number, look in enumerate(report.looks[:MOST_SHOWN], start=1):
        parts += [f"<h2>{number}. {escape(_name(look, several=several))}</h2>\n", _figure_line(look, report.absent)]
        parts += [_panels(look)]
    if len(report.looks) > MOST_SHOWN:
        parts.append(f"<p>{len(report.looks) - MOST_SHOWN} more are in the table alone.</p>\n")
    if report.failures:
        failed = "".join(f"<li>{escape(line)}</li>" for line in report.failures)
        parts += ["<h2>Failed</h2>\n", f'<ul class="failed">{failed}</ul>\n']
    facts = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in report.facts.items())
    parts.append(f"<h2>How</h2>\n<dl>{facts}</dl>\n")
    return framed("wam bench: visibility", "".join(parts), style=STYLE)


def sheet(report: Visibility) -> bytes:
    """One JPEG: the worst pictures, a line of figures above each, colours at full resolution."""
    several = len({look.entrant for look in report.looks}) > 1
    looks = report.looks[:MOST_ROWS]
    rows = [[_enlarged(panel) for panel in _three(look)] for look in looks]
    widths = [max(row[place].shape[1] for row in rows) for place in range(len(TITLES))]
    width = sum(widths) + GAP * (len(TITLES) + 1)
    height = GAP + LINE + sum(row[0].shape[0] + LINE + GAP for row in rows) + LINE
    whole = Image.new("RGB", (width, height), PAPER)
    pen, font = ImageDraw.Draw(whole), ImageFont.load_default(16)
    top = GAP
    pen.text((GAP, top), _caption(report), fill=INK, font=font)
    top = GAP + LINE
    for look, row in zip(looks, rows, strict=True):
        text = f"{_name(look, several=several)}:  {_figures(look, report.absent)}"
        pen.text((GAP, top + 4), text, fill=INK, font=font)
        top += LINE
        left = GAP
        for panel, wide in zip(row, widths, strict=True):
            whole.paste(Image.fromarray(panel), (left, top))
            left += wide + GAP
        top += row[0].shape[0] + GAP
    pen.text((GAP, top), f"{', '.join(TITLES)}, each at {ENLARGED}x · {report.facts['command']}", fill=INK, font=font)
    buffer = io.BytesIO()
    whole.save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return buffer.getvalue()


def _caption(report: Visibility) -> str:
    return f"{report.facts['models']} · {len(report.looks)} pictures, the {min(MOST_ROWS, len(report.looks))} worst"


def _name(look: Look, *, several: bool) -> str:
    key = look.result.key
    return f"{key.photo}, {look.entrant}" if several else key.photo


def _figures(look: Look, absent: Sequence[str]) -> str:
    return " · ".join(f"{title} {shown(name, look.figures[name], absent)}" for name, title in FIGURES.items())


def _figure_line(look: Look, absent: Sequence[str]) -> str:
    values = look.figures
    place = f"{values['width']} x {values['height']}, period {values['period']:g} px, "
    place += f"part at {values['part_left']}, {values['part_top']}"
    link = f'<a href="{escape(marked_path(look))}">marked file</a>'
    return f"<p>{escape(_figures(look, absent))}<br>{escape(place)}, {link}</p>\n"


def _summary_table(report: Visibility) -> str:
    heads = ["contender", "pictures"]
    for name in SUMMED:
        heads += [FIGURES[name], f"{'lowest' if name in LESS_IS_WORSE else 'highest'} {FIGURES[name]}"]
    rows = []
    for line in summaries(report.looks):
        cells = [Cell(line.entrant), Cell(str(line.pictures), line.pictures, numeric=True)]
        for name in SUMMED:
            for value in (line.means[name], line.worst[name]):
                cells.append(Cell(shown(name, value, report.absent), value, numeric=True))
        rows.append(cells)
    return table(heads, rows)


def _table(report: Visibility, *, several: bool) -> str:
    heads = ["picture", *(["contender"] if several else []), *FIGURES.values()]
    rows = []
    for look in report.looks:
        names = [look.result.key.photo, *([look.entrant] if several else [])]
        figures = [(name, look.figures[name]) for name in FIGURES]
        cells = [Cell(shown(name, value, report.absent), value, numeric=True) for name, value in figures]
        rows.append([*map(Cell, names), *cells])
    return table(heads, rows)


def _panels(look: Look) -> str:
    figures = []
    for title, panel in zip(TITLES, _three(look), strict=True):
        buffer = io.BytesIO()
        Image.fromarray(_enlarged(panel)).save(buffer, "PNG")
        shown_as = image(buffer.getvalue(), "png", alt=f"{title}, {look.result.key.photo}")
        figures.append(f"<figure><figcaption>{escape(title)}</figcaption>{shown_as}</figure>")
    return f'<div class="panels">{"".join(figures)}</div>\n'


def _three(look: Look) -> tuple[Pixels, Pixels, Pixels]:
    """Original, marked and the difference around middle grey."""
    assert look.original is not None and look.marked is not None
    change = look.marked.astype(np.int16) - look.original
    return look.original, look.marked, np.clip(128 + AMPLIFIED * change, 0, 255).astype(np.uint8)


def _enlarged(panel: Pixels) -> Pixels:
    """Every pixel as four, as a screen at 200% shows it."""
    return panel.repeat(ENLARGED, axis=0).repeat(ENLARGED, axis=1)
