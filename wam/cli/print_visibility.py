"""What ``wam bench --visibility`` prints: the worst pictures, a line for each contender, and the files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from wam.cli.fitted_table import fitted_table

if TYPE_CHECKING:
    from rich.console import Console

    from wam.bench.visibility import Summary, Visibility

WORST = 12  # pictures that the terminal shows
SPARED = ("own_noise", "residual", "psnr_db", "repeats", "contender", "flip")
LEGEND = (
    "CVVDP (JOD): 10 where nothing is seen, less is worse · FLIP: 0 where nothing is seen · residual and noise: rms "
    "levels of the mark and of the picture in its smoothest part, ratio of the two (noise counted as .35 or more) · "
    "repeats: correlation of the mark with itself one period on"
)


def print_visibility(console: Console, report: Visibility, folder: Path, files: list[str]) -> None:
    """Tables as wide as the console allows."""
    from wam.bench.perception import how_to_install
    from wam.bench.visibility import FIGURES, shown, summaries

    several = len({look.entrant for look in report.looks}) > 1
    heads = {"picture": "picture", **({"contender": "contender"} if several else {}), **FIGURES}
    rows = [
        {
            "picture": look.result.key.photo,
            "contender": look.entrant,
            # where a package is missing, a line below says so: in a column it would take the place of figures
            **{name: shown(name, look.figures[name]) for name in FIGURES},
        }
        for look in report.looks[:WORST]
    ]
    if rows:
        texts = ("picture", "contender")
        console.print(fitted_table(heads, rows, spared=SPARED, texts=texts, columns=console.width))
        if len(report.looks) > len(rows):
            console.print(f"the {len(rows)} worst of {len(report.looks)}", highlight=False)
        console.print()
        console.print(LEGEND, style="dim", highlight=False)
    for line in summaries(report.looks):
        console.print(_in_a_line(line, report), highlight=False)
    if report.absent:
        console.print(how_to_install(report.absent), highlight=False, markup=False)
    console.print(f"{folder}: {', '.join(files)}, marked files", highlight=False)


def _in_a_line(line: Summary, report: Visibility) -> str:
    from wam.bench.visibility import shown

    counted = f"{line.entrant}, {line.pictures} picture{'' if line.pictures == 1 else 's'}"
    means, worst = line.means, line.worst
    jod = shown("cvvdp_jod", means["cvvdp_jod"], report.absent)
    texts = [
        jod if worst["cvvdp_jod"] is None else f"{jod}, lowest {shown('cvvdp_jod', worst['cvvdp_jod'])}",
        f"FLIP {shown('flip', means['flip'], report.absent)}",
        f"PSNR {shown('psnr_db', means['psnr_db'])} dB",
        f"ratio {shown('over_noise', means['over_noise'])}, highest {shown('over_noise', worst['over_noise'])}",
        f"repeats {shown('repeats', means['repeats'])}",
    ]
    return f"{counted}: mean CVVDP {'; '.join(texts)}"
