"""The files of ``--out``: report.md for people, report.csv and metrics.json for programs; report.html by
``report_page``."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from wam.bench.adversary_lines import ADVERSARY_LEGEND, AdversaryLine, adversary_table
from wam.bench.cost import CostLine
from wam.bench.summary import NAMES, CleanRows, Line, NullLine, split_clean
from wam.networks.strength import shown
from wam.pictures.files import write_text

# Columns of the tables and what they are called.
COLUMNS = {
    "photos": "photos",
    "psnr_db": "PSNR",
    "tpr": "found",
    "bits": "bits",
    "worst": "worst",
    "words": "words",
    "records": "records",
    "iou": "IoU",
    "margin_db": "margin",
    "lowest_db": "lowest",
    "wrong": "wrong",
}
LEGEND = (
    "PSNR (dB) of the marked photos before the attack · found: share of marks found at the one presence threshold · "
    "bits: bit accuracy, a mark not found counts one half · worst: bit accuracy of the worst photo · "
    "words: all 32 bits right after correction · records: the right record named and no wrong one · "
    "IoU of mask and truth · margin: evidence for a mark over the threshold in dB (-10 log10 of the chance of such a "
    "sign without one), a mark that does not reach it counts 0 · lowest: that of the least sure mark · "
    "wrong: records named that are not in the picture (a sum)"
)


@dataclass(frozen=True)
class Report:
    """Everything a run found out. ``facts``: command, model, images, device, seed, ... by name; ``absent``: figures of
    the quality whose packages are not installed."""

    facts: dict[str, str]
    groups: list[Line]
    rows: list[Line]
    nulls: list[NullLine]
    quality: list[dict[str, Any]]
    failures: list[str]
    costs: list[CostLine] = field(default_factory=list)
    plots: list[str] = field(default_factory=list)
    absent: tuple[str, ...] = ()
    adversaries: list[AdversaryLine] = field(default_factory=list)
    kinds: list[Line] = field(default_factory=list)

    @property
    def caption(self) -> str:
        """What every figure carries."""
        return " · ".join(self.facts[name] for name in ("command", "models", "images", "device"))


def write_report(folder: Path, report: Report) -> None:
    """report.md, report.csv and metrics.json, each whole or not at all."""
    write_text(folder / "report.md", lambda stream: stream.write(markdown(report)))
    write_text(folder / "report.csv", lambda stream: stream.write(_csv(report.rows)))
    metrics = json.dumps(_metrics(report), indent=1, allow_nan=False) + "\n"
    write_text(folder / "metrics.json", lambda stream: stream.write(metrics))


def cell(name: str, value: object) -> str:
    """A value of a line as the tables show it.

    >>> cell("bits", 0.98765), cell("psnr_db", 42.0), cell("tpr", None)
    ('98.8%', '42.0', '-')
    """
    if value is None:
        return "-"
    if name in ("tpr", "bits", "worst", "words", "records") and isinstance(value, float):
        return f"{value:.1%}"
    if isinstance(value, float):
        return f"{value:.1f}" if name in ("psnr_db", "margin_db", "lowest_db") else f"{value:.3f}"
    return str(value)


def entrant(line: Line | CleanRows) -> str:
    """The contender of a line, with its strength where one was asked for."""
    return line.contender if line.strength is None else f"{line.contender} {shown(line.strength)}"


def markdown(report: Report) -> str:
    """The whole report as text."""
    parts = ["# wam bench", ""]
    parts += [f"- {name}: {value}" for name, value in report.facts.items()]
    if report.rows:
        parts += ["", "## Groups", "", LEGEND, "", *_line_table(report.groups, "group")]
        if len(entrants(report.rows)) > 1:
            parts += ["", "## Side by side", "", "Bit accuracy, and the share of marks with all 32 bits right.", ""]
            parts += _side_by_side(report)
        if report.kinds:
            parts += ["", "## Kinds of pictures", "", "All rows on the photos of each folder.", ""]
            parts += _line_table(report.kinds, "group")
        parts += ["", "## Attacks", "", *_attack_lines(report.rows)]
    if report.adversaries:
        parts += ["", "## Adversary", "", ADVERSARY_LEGEND, "", *_table(*adversary_table(report.adversaries))]
    if report.quality:
        parts += ["", "## Quality of the marked photos", "", "8-bit, against the input.", ""]
        parts += _dict_table(quality_rows(report))
    parts += ["", "## False positives", "", "Rates with the exact 95% interval (Clopper-Pearson).", ""]
    parts += _dict_table([asdict(line) for line in report.nulls])
    if report.costs:
        parts += ["", "## Cost", "", "Each line in a process of its own; memory is its peak, libraries included.", ""]
        parts += _dict_table([cost_row(line) for line in report.costs])
    if report.failures:
        parts += ["", "## Failed", "", *(f"- {line}" for line in report.failures)]
    if report.plots:
        parts += ["", "## Plots", "", *(f"![{name}]({name})" for name in report.plots)]
    return "\n".join(parts) + "\n"


def _attack_lines(lines: Sequence[Line]) -> list[str]:
    """Rows where nothing failed in a line for each group, then the table of the others."""
    clean, rest = split_clean(lines)
    several = len(entrants(lines)) > 1
    text = [
        f"- {f'{entrant(rows)}, ' if several else ''}{rows.group}, {rows}: {', '.join(rows.names)}" for rows in clean
    ]
    if not rest:
        return [*text, "", "No other rows."]
    return [*text, *([""] if text else []), *_line_table(rest, "row")]


def entrants(lines: Sequence[Line]) -> list[str]:
    return list(dict.fromkeys(entrant(line) for line in lines))


def _line_table(lines: Sequence[Line], first: str) -> list[str]:
    several = len(entrants(lines)) > 1
    head = [*(["contender"] if several else []), *(["group", "attack"] if first == "row" else ["group"])]
    rows = []
    for line in lines:
        start = [*([entrant(line)] if several else []), line.group, *([line.row] if first == "row" else [])]
        rows.append([*start, *(cell(name, getattr(line, name)) for name in COLUMNS)])
    return _table([*head, *COLUMNS.values()], rows)


def _side_by_side(report: Report) -> list[str]:
    names = entrants(report.rows)
    psnr = {entrant(line): line.psnr_db for line in reversed(report.groups)}
    values = {(entrant(line), line.row): (line.bits, line.words) for line in report.rows}
    rows = [["PSNR, dB", *(cell("psnr_db", psnr.get(name)) for name in names)]]
    for row in dict.fromkeys(line.row for line in report.rows):
        rows.append([row, *(_bits_and_words(values.get((name, row), (None, None))) for name in names)])
    return _table(["attack", *names], rows)


def _bits_and_words(values: tuple[float | None, float | None]) -> str:
    bits, words = values
    return "-" if bits is None else f"{cell('bits', bits)}, {cell('words', words)}"


def _dict_table(lines: Sequence[dict[str, Any]]) -> list[str]:
    if not lines:
        return ["nothing measured"]
    return _table(list(lines[0]), [[plain(value) for value in line.values()] for line in lines])


def cost_row(line: CostLine) -> dict[str, Any]:
    """As it is, but for memory that the system does not tell: a dash would pass for an error."""
    unknown = line.error is None and line.peak_mb is None
    return asdict(line) | ({"peak_mb": "unknown"} if unknown else {})


def quality_rows(report: Report) -> list[dict[str, Any]]:
    """The qualities as they are, but for what could not be measured: a dash would pass for small pictures."""
    missing = {name: "not installed" for name in report.absent}
    if "cvvdp_jod" in missing:
        missing["lowest_cvvdp"] = "not installed"
    return [line | missing for line in report.quality]


def quality_text(line: dict[str, Any]) -> str:
    """One contender's quality in a line, without what was not measured."""
    named = [
        ("psnr_db", "PSNR {:.1f} dB"),
        ("lowest_psnr", "lowest {:.1f}"),
        ("ssim", "SSIM {:.4f}"),
        ("ciede2000", "CIEDE2000 {:.2f}"),
        ("cvvdp_jod", "CVVDP {:.2f} JOD"),
        ("lowest_cvvdp", "lowest {:.2f}"),
        ("flip", "FLIP {:.3f}"),
    ]
    figures = ", ".join(text.format(line[name]) for name, text in named if line[name] is not None)
    name = line["contender"] if line["strength"] is None else f"{line['contender']} {line['strength']:g} dB"
    return f"{name}, marked: {figures}"


def plain(value: object) -> str:
    return "-" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def _csv(lines: Sequence[Line]) -> str:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, NAMES, lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(line) for line in lines)
    return buffer.getvalue()


def _metrics(report: Report) -> dict[str, Any]:
    return {
        **report.facts,
        "groups": [asdict(line) for line in report.groups],
        "attacks": [asdict(line) for line in report.rows],
        "kinds": [asdict(line) for line in report.kinds],
        "adversary": [asdict(line) for line in report.adversaries],
        "quality": report.quality,
        "false_positives": [asdict(line) for line in report.nulls],
        "cost": [asdict(line) for line in report.costs],
        "failures": report.failures,
    }
