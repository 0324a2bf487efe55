"""``wam bench --visibility``: every picture marked, saved, read back and looked at where it is smoothest.

Each picture of each contender gives one ``Look``: figures for the tables, and the part to show. Pages are made by
``visibility_page``.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from wam.bench.contenders import Build
from wam.bench.perception import absent, perceived
from wam.bench.photos import round_to_bytes
from wam.bench.plan import Plan, Task
from wam.bench.results import Key, Result
from wam.bench.runner import Progress, Workbench, run_each, usual_workers
from wam.bench.session import Options, images_plan, make_facts
from wam.bench.smooth_part import find_part, luma_of, period_of, stand_out
from wam.bench.summary import failures, mean, rounded
from wam.errors import show_name
from wam.networks.strength import Amount
from wam.networks.strength import shown as strength_shown
from wam.pictures.files import read_image, write_picture, write_text
from wam.pictures.quality import psnr
from wam.pictures.samples import Pixels
from wam.signal.filters import to_pixels

VISIBILITY = "visibility"  # row and group of these results
MARKED = "marked"  # folder of the marked files
# Figures of a picture and what the tables call them.
FIGURES = {
    "cvvdp_jod": "CVVDP",
    "flip": "FLIP",
    "psnr_db": "PSNR",
    "residual": "residual",
    "own_noise": "noise",
    "over_noise": "ratio",
    "repeats": "repeats",
}
LESS_IS_WORSE = ("cvvdp_jod", "psnr_db")
DECIMALS = {"cvvdp_jod": 2, "flip": 3, "psnr_db": 1, "residual": 2, "own_noise": 2, "over_noise": 2, "repeats": 2}


class Piece(NamedTuple):
    """What one worker does at a time: a task of the plan, and where the marked file goes."""

    task: Task
    path: Path


@dataclass(frozen=True)
class Look:
    """One marked picture. ``result``: its figures, or what went wrong; ``original`` and ``marked``: the part that is
    shown, (h, w, 3) uint8, None after an error."""

    result: Result
    original: Pixels | None = None
    marked: Pixels | None = None

    @property
    def figures(self) -> dict[str, Any]:
        """The figures by name, some None; empty after an error."""
        return self.result.values

    @property
    def entrant(self) -> str:
        """The contender, with its strength where one was asked for."""
        return _entrant(self.result.key.contender, self.result.key.strength)


@dataclass(frozen=True)
class Visibility:
    """A whole report: ``looks`` with the worst first, ``absent`` figures without a package, ``failed``
    the pictures that could not be marked or measured."""

    facts: dict[str, str]
    looks: list[Look]
    absent: tuple[str, ...] = ()
    failed: list[Result] = field(default_factory=list)

    @property
    def failures(self) -> list[str]:
        """A line for each of those."""
        return failures(self.failed)


@dataclass(frozen=True)
class Summary:
    """All pictures of one contender: the mean of each figure, and its worst value."""

    entrant: str
    pictures: int
    means: dict[str, float | None]
    worst: dict[str, float | None]


def look_at_all(
    options: Options, build: Build, folder: Path, *, progress: Progress = lambda done, total: None
) -> Visibility:
    """Mark every picture with every contender at every strength, save the files in ``folder``/marked and measure what
    these hold. Raises ``WamError`` for a model or an image set that cannot be used, before anything is measured."""
    plan = images_plan(options, build)
    pieces = list(_pieces(plan, folder))
    progress(0, len(pieces))
    looks = []
    workers = min(options.workers or usual_workers(options.device), len(pieces))
    for look in run_each(plan, look_at, pieces, workers=workers):
        looks.append(look)
        progress(len(looks), len(pieces))
    facts = make_facts(options, plan)
    whole = [look for look in looks if look.result.error is None]
    failed = [look.result for look in looks if look.result.error is not None]
    return Visibility(facts, sorted(whole, key=_badness), absent(), sorted(failed, key=lambda result: result.number))


def look_at(bench: Workbench, piece: Piece) -> Look:
    """One picture by one contender."""
    task, path = piece
    key = bench.plan.key(task, VISIBILITY)
    try:
        stage = bench.stage(task.entrant, task.strength, task.part)
        original = to_pixels(round_to_bytes(stage.images.photo(task.number))[0])
        path.parent.mkdir(parents=True, exist_ok=True)
        write_picture(path, Image.fromarray(to_pixels(stage.marked(task.number)[0])))
        return _measured(key, task.number, original, read_image(path).pixels)
    except Exception as error:  # a picture that fails must not take the others with it
        text = show_name(str(error)) or type(error).__name__
        return Look(Result(key, VISIBILITY, task.number, error=text))


def _measured(key: Key, number: int, original: Pixels, marked: Pixels) -> Look:
    height, width = original.shape[:2]
    before, after = luma_of(original), luma_of(marked)
    part, period = find_part(before), period_of(height, width)
    found = psnr(marked, original)
    values: dict[str, Any] = {
        **{name: None for name in FIGURES},
        **perceived(marked, original),
        "psnr_db": found if math.isfinite(found) else None,
        **asdict(stand_out(after, before, part, period)),
    }
    values = {name: rounded(value) for name, value in values.items()}
    place = {
        "width": width,
        "height": height,
        "period": rounded(period),
        **{f"part_{n}": v for n, v in asdict(part).items()},
    }
    return Look(Result(key, VISIBILITY, number, values | place), part.of(original).copy(), part.of(marked).copy())


def summaries(looks: Sequence[Look]) -> list[Summary]:
    """A line for each contender, in the order in which they come."""
    groups: dict[str, list[Look]] = {}
    for look in looks:
        groups.setdefault(look.entrant, []).append(look)
    return [_summary(entrant, members) for entrant, members in groups.items()]


def _summary(entrant: str, looks: Sequence[Look]) -> Summary:
    columns = {name: [look.figures[name] for look in looks] for name in FIGURES}
    known = {name: [value for value in values if value is not None] for name, values in columns.items()}
    worst = {name: (min if name in LESS_IS_WORSE else max)(each, default=None) for name, each in known.items()}
    return Summary(entrant, len(looks), {name: rounded(mean(each)) for name, each in known.items()}, worst)


def shown(name: str, value: float | None, absent: Sequence[str] = ()) -> str:
    """A figure as the tables show it.

    >>> shown("cvvdp_jod", 9.5812), shown("flip", None, ("flip",)), shown("repeats", None)
    ('9.58', 'not installed', '-')
    """
    if value is None:
        return "not installed" if name in absent else "-"
    return f"{value:.{DECIMALS[name]}f}"


def write_table(path: Path, report: Visibility) -> None:
    """All figures of all pictures as CSV, whole or not at all."""
    names = ["picture", "contender", "strength_db", *FIGURES, "width", "height", "period"]
    names += ["part_top", "part_left", "part_height", "part_width"]
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, names, lineterminator="\n")
    writer.writeheader()
    for look in report.looks:
        key = look.result.key
        start = {"picture": key.photo, "contender": key.contender, "strength_db": key.strength}
        writer.writerow(start | {name: look.figures[name] for name in names[3:]})
    write_text(path, lambda stream: stream.write(buffer.getvalue()))


def marked_path(look: Look) -> str:
    """Where the marked file of a picture is, below the report's folder."""
    return _place(look.entrant, look.result.number, look.result.key.photo)


def _pieces(plan: Plan, folder: Path) -> list[Piece]:
    pieces = []
    for task, key in plan.cells():
        place = _place(_entrant(key.contender, key.strength), task.number, key.photo)
        pieces.append(Piece(task, folder / place))
    return pieces


def _place(entrant: str, number: int, photo: str) -> str:
    """A name of its own for each file, whatever folders the pictures come from."""
    return f"{MARKED}/{entrant.replace(' ', '-').replace('/', '-')}/{number + 1:03d}-{Path(photo).stem}.png"


def _entrant(contender: str, strength: Amount) -> str:
    return contender if strength is None else f"{contender} {strength_shown(strength)}"


def _badness(look: Look) -> tuple[float, float]:
    """Sorts the worst first: by ColorVideoVDP, without it by how far the mark stands above the noise."""
    jod = look.figures["cvvdp_jod"]
    return (-math.inf if jod is None else jod, -look.figures["over_noise"])
