"""Writes the tables of docs/threat-model.md from a run of the bench, so that no figure is copied by hand.

    wam bench --attacks adversary --limit 6 --out REPORT
    python scripts/adversary_table.py REPORT           # keeps the figures in checkpoints/adversary.json, fills the page
    python scripts/adversary_table.py                  # fills the page from the figures that are kept

The tables stand between two comments of the page. A test says when the page is not that of the figures any more.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from wam.bench.adversary_lines import AdversaryLine, adversary_table
from wam.errors import WamError
from wam.pictures.files import write_text

ROOT = Path(__file__).resolve().parent.parent
FIGURES = ROOT / "checkpoints" / "adversary.json"
PAGE = ROOT / "docs" / "threat-model.md"
START, END = "<!-- adversary: scripts/adversary_table.py -->", "<!-- end of adversary -->"
KEPT = ("command", "models", "images", "device", "seed", "version", "date", "adversary")


def figures_of(report: Path) -> dict[str, Any]:
    """What is kept of the metrics.json of a run; raises ``WamError`` where it has no adversary."""
    place = report / "metrics.json" if report.is_dir() else report
    try:
        values = json.loads(place.read_text(encoding="utf-8"))
        kept = {name: values[name] for name in KEPT}
        kept["command"] = re.sub(r" --(?:out|workers) \S+", "", kept["command"])  # change no figure
        if not kept["adversary"] or any(line["failed"] for line in kept["adversary"]):
            raise ValueError("no rows of an adversary, or some that failed")
        return kept
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WamError(
            f"{place}: expected a report of wam bench --attacks adversary, found another: {error}"
        ) from error


def tables(figures: dict[str, Any]) -> str:
    """The tables, and a line that says how they were made."""
    lines = [AdversaryLine(**line) for line in figures["adversary"]]
    heads, rows = adversary_table(lines)
    named = {"silent": "nothing reported", "PSNR": "PSNR, dB", "CVVDP": "CVVDP, JOD"}
    shown = [number for number, head in enumerate(heads) if any(row[number] != "-" for row in rows)]
    text = ["| " + " | ".join(named.get(heads[number], heads[number]) for number in shown) + " |"]
    text += ["|" + "---|" * len(shown)]
    text += ["| " + " | ".join(row[number] for number in shown) + " |" for row in rows]
    made = f"`{figures['command']}`: {figures['models']}, {figures['images']}, {figures['device']}, {figures['date']}."
    return "\n".join([*text, "", made])


def filled(page: str, figures: dict[str, Any]) -> str:
    """The page with these tables; raises ``WamError`` where it has no place for them."""
    before, start, rest = page.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise WamError(f"{PAGE}: expected the comments {START} and {END}, found none; put them back")
    return f"{before}{START}\n\n{tables(figures)}\n\n{END}{after}"


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("report", nargs="?", type=Path, help="folder of a run of the bench, or its metrics.json")
    given = options.parse_args()
    try:
        if given.report is not None:
            kept = json.dumps(figures_of(given.report), indent=1) + "\n"
            write_text(FIGURES, lambda stream: stream.write(kept))
        page = filled(PAGE.read_text(encoding="utf-8"), json.loads(FIGURES.read_text(encoding="utf-8")))
        write_text(PAGE, lambda stream: stream.write(page))
    except (OSError, WamError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
