"""What a run of the bench does: which rows, on which photos, by which contenders."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from attacks import Need
from wam.bench.contenders import Build, Contender
from wam.bench.photos import ImageSet
from wam.bench.results import QUALITY, Key
from wam.bench.rows import KEYED, WRONG_KEY, Row
from wam.networks.strength import Amount

MOST_ROWS = 16  # in one task: results reach the disk after each


@dataclass(frozen=True)
class Entrant:
    """A contender as the plan knows it; ``strengths`` in dB, None for its own; the rest as of ``Contender``."""

    name: str
    build: Build
    strengths: tuple[Amount, ...]
    decides: bool
    keyed: bool
    search: str | None = None
    offers: frozenset[Need] = frozenset()

    @classmethod
    def of(cls, contender: Contender, build: Build, *, strengths: tuple[Amount, ...] = ()) -> Entrant:
        """One that ``build`` made; ``strengths`` count only where it takes any."""
        chosen = strengths if contender.adjustable and strengths else (None,)
        return cls(
            contender.name,
            build,
            chosen,
            contender.decides,
            contender.keyed,
            search=contender.search,
            offers=contender.offers,
        )


@dataclass(frozen=True)
class Part:
    """Rows on one image set. ``limit``: photos for each row; ``costly_limit``: for the rows that search everything."""

    images: ImageSet
    rows: tuple[Row, ...]
    limit: int | None = None
    costly_limit: int | None = None
    negatives: bool = False

    def count(self, row: Row | None = None) -> int:
        """How many photos a row is measured on."""
        limits = [self.limit, self.costly_limit if row is not None and row.costly else None]
        return min([len(self.images), *(limit for limit in limits if limit is not None)])


@dataclass(frozen=True)
class Task:
    """Rows of one photo, run together: the marked photo is made once. ``part`` counts the plan's parts."""

    entrant: int
    strength: Amount
    part: int
    number: int
    rows: tuple[Row, ...]
    quality: bool


@dataclass(frozen=True)
class Plan:
    """Everything a worker needs to know; picklable."""

    entrants: tuple[Entrant, ...]
    parts: tuple[Part, ...]
    seed: int

    def cells(self) -> Iterator[tuple[Task, Key]]:
        """Every result of the plan, as a task of its own with its key, in the order of the tables."""
        for index, entrant in enumerate(self.entrants):
            for strength in entrant.strengths:
                for part_index, part in enumerate(self.parts):
                    for row, number in _rows_and_photos(entrant, part):
                        rows = () if row is None else (row,)
                        task = Task(index, strength, part_index, number, rows, row is None)
                        yield task, self.key(task, QUALITY if row is None else row.name)

    def key(self, task: Task, row: str) -> Key:
        """Under which the result of one row is kept."""
        images = self.parts[task.part].images
        entrant = self.entrants[task.entrant]
        return Key(entrant.name, task.strength, images.digest, self.seed, images.photo_name(task.number), row)

    def tasks(self, done: set[Key], *, workers: int) -> list[Task]:
        """What is left to do, in portions that keep all workers busy."""
        open_cells: dict[tuple[int, Amount, int, int], list[Task]] = {}
        for task, key in self.cells():
            if key not in done:
                open_cells.setdefault((task.entrant, task.strength, task.part, task.number), []).append(task)
        portions = max(1, -(-2 * workers // max(1, len(open_cells))))
        return [task for cells in open_cells.values() for task in _join(cells, portions)]


def _rows_and_photos(entrant: Entrant, part: Part) -> Iterator[tuple[Row | None, int]]:
    """The quality of each photo, then each row; what a contender cannot do is left out."""
    if not part.negatives:
        yield from ((None, number) for number in range(part.count()))
    for row in part.rows:
        if row.group in ("multi", "unmarked") and not entrant.decides:
            continue
        if (row.null == WRONG_KEY or row.foe == KEYED) and not entrant.keyed:
            continue
        if row.adversary is not None and not row.adversary.needs <= entrant.offers:
            continue
        yield from ((row, number) for number in range(part.count(row)))


def _join(cells: list[Task], portions: int) -> Iterator[Task]:
    """Portions of about equal work: neighbours in the list, which cost alike, go to different ones."""
    portions = max(portions, -(-len(cells) // MOST_ROWS))
    for index in range(portions):
        portion = cells[index::portions]
        if portion:
            rows = tuple(row for cell in portion for row in cell.rows)
            first = portion[0]
            quality = any(cell.quality for cell in portion)
            yield Task(first.entrant, first.strength, first.part, first.number, rows, quality)
