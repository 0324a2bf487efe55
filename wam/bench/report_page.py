"""report.html: the whole report as a page that is one file, for people, on any screen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import Any

from wam.bench.adversary_lines import ADVERSARY_LEGEND, adversary_table
from wam.bench.report import COLUMNS, LEGEND, Report, cell, cost_row, entrant, entrants, plain, quality_rows
from wam.bench.summary import Line, split_clean
from wam.html_page import Cell, framed, image, table
from wam.pictures.files import write_text

STYLE = """h2 { font-size: 1.05rem; margin: 1.6rem 0 .4rem; }
td, th { overflow-wrap: normal; }
td:first-child { position: sticky; left: 0; background: Canvas; white-space: nowrap; }
summary { cursor: pointer; padding: .35rem .6rem; color: var(--good); }
.legend { font-size: .85em; margin-top: .6rem; }
.failed { color: var(--bad); }
dt { font-weight: 600; } dd { margin: 0 0 .4rem; font-family: ui-monospace, monospace; font-size: .9em; }
@media (max-width: 40rem) { img.plot, img.sheet { max-width: none; width: 48rem; } }
@media (prefers-color-scheme: dark) { img.plot { filter: invert(.93) hue-rotate(180deg); } }
"""


def write_page(folder: Path, report: Report) -> None:
    """report.html, whole or not at all, with the plots that are in the folder."""
    plots = {name: (folder / name).read_bytes() for name in report.plots}
    write_text(folder / "report.html", lambda stream: stream.write(page(report, plots)))


def page(report: Report, plots: Mapping[str, bytes]) -> str:
    """The whole report as a page that is one file; ``plots`` are PNG by their names."""
    parts = [f"<p>{escape(_in_a_line(report))}</p>\n"]
    if report.rows:
        several = len(entrants(report.rows)) > 1
        parts += ["<h2>Groups</h2>\n", _html_lines(report.groups, "group", several=several)]
        if report.kinds:
            parts += ["<h2>Kinds of pictures</h2>\n", _html_lines(report.kinds, "group", several=several)]
        parts += ["<h2>Attacks</h2>\n", *_html_attacks(report.rows, several=several)]
        parts += [f'<p class="legend">{escape(LEGEND)}</p>\n']
    if report.adversaries:
        parts += ["<h2>Adversary</h2>\n", _html_texts(*adversary_table(report.adversaries))]
        parts += [f'<p class="legend">{escape(ADVERSARY_LEGEND)}</p>\n']
    for name, content in plots.items():
        kind = "sheet" if name.startswith("contact") else "plot"
        parts.append(f"<h2>{escape(_title(name))}</h2>\n" + image(content, "png", alt=_title(name), name=kind))
    if report.quality:
        parts += ["<h2>Quality of the marked photos</h2>\n", _html_dicts(quality_rows(report))]
    parts += ["<h2>False positives</h2>\n", "<p>Rates with the exact 95% interval (Clopper-Pearson).</p>\n"]
    parts += [_html_dicts([asdict(line) for line in report.nulls])]
    if report.costs:
        parts += ["<h2>Cost</h2>\n", _html_dicts([cost_row(line) for line in report.costs])]
    if report.failures:
        failed = "".join(f"<li>{escape(line)}</li>" for line in report.failures)
        parts += ["<h2>Failed</h2>\n", f'<ul class="failed">{failed}</ul>\n']
    facts = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in report.facts.items())
    parts.append(f"<h2>How</h2>\n<dl>{facts}</dl>\n")
    return framed("wam bench", "".join(parts), style=STYLE)


def _in_a_line(report: Report) -> str:
    """What a person wants to know first."""
    whole = sum(line.is_clean for line in report.rows)
    texts = [report.facts["models"]]
    if report.rows:
        texts.append(f"{whole} of {len(report.rows)} rows without a failure")
    alarms, pictures = sum(line.alarms for line in report.nulls), sum(line.pictures for line in report.nulls)
    if pictures:
        texts.append(f"{alarms} false alarms in {pictures} readings")
    return " · ".join(texts)


def _html_attacks(lines: Sequence[Line], *, several: bool) -> Iterator[str]:
    clean, rest = split_clean(lines)
    if rest:
        yield _html_lines(rest, "row", several=several)
    for rows in clean:
        members = [
            line for line in lines if line.is_clean and (entrant(line), line.group) == (entrant(rows), rows.group)
        ]
        title = f"{f'{entrant(rows)}, ' if several else ''}{rows.group}, {rows}"
        yield f"<details><summary>{escape(title)}</summary>\n{_html_lines(members, 'row', several=several)}</details>\n"


def _html_lines(lines: Sequence[Line], first: str, *, several: bool) -> str:
    heads = [*(["contender"] if several else []), *(["attack", "group"] if first == "row" else ["group"])]
    rows = []
    for line in lines:
        names = [*([entrant(line)] if several else []), *([line.row] if first == "row" else []), line.group]
        figures = [(name, getattr(line, name)) for name in COLUMNS]
        rows.append([*map(Cell, names), *(Cell(cell(name, value), value, numeric=True) for name, value in figures)])
    return table([*heads, *COLUMNS.values()], rows)


def _html_texts(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return table(list(heads), [[Cell(text) for text in row] for row in rows])


def _html_dicts(lines: Sequence[Mapping[str, Any]]) -> str:
    if not lines:
        return "<p>nothing measured</p>\n"
    numeric = {
        name
        for name in lines[0]
        if all(line[name] is None or isinstance(line[name], int | float) for line in lines)
        and any(line[name] is not None for line in lines)
    }
    rows = [
        [Cell(plain(line[n]), line[n] if n in numeric else None, numeric=n in numeric) for n in lines[0]]
        for line in lines
    ]
    return table([name.replace("_", " ") for name in lines[0]], rows)


def _title(plot: str) -> str:
    """What a plot is called.

    >>> _title("margin-over-psnr.png")
    'Margin over PSNR'
    """
    text = plot.removesuffix(".png").replace("-", " ").replace("psnr", "PSNR")
    return text[:1].upper() + text[1:]
