"""From results to the lines of the tables: means for each row, each group, and the false positives."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from scipy.stats import binomtest

from wam.bench.perception import MODULES
from wam.bench.plan import Plan
from wam.bench.quality import ALWAYS
from wam.bench.results import QUALITY, Result, ResultsFile
from wam.bench.rows import ADVERSARY, ALL_GROUPS
from wam.networks.strength import Amount

CONFIDENCE = 0.95
QUALITIES = (*ALWAYS, *MODULES)


@dataclass(frozen=True)
class Line:
    """One row, or one group, of one contender at one strength; accuracies and rates are shares in [0, 1].

    ``psnr_db`` of the marked photos before the attack; ``tpr`` marks found, None where the method does not decide;
    ``bits`` a mark that was not found counts one half; ``worst`` the lowest photo; ``words`` all 32 right after
    correction; ``records`` the right one named and no wrong one; ``iou`` over the marks found; ``wrong`` records named;
    ``foreign`` records of another registry; ``failed`` photos with an error; ``right`` marks found, with every bit and
    their record right; ``margin_db`` evidence over the threshold, a mark that does not reach it counts 0, and its
    ``lowest_db``, both None where nothing is known of it.
    """

    contender: str
    strength: Amount
    group: str
    row: str
    photos: int
    psnr_db: float | None
    tpr: float | None
    bits: float | None
    worst: float | None
    words: float | None
    records: float | None
    iou: float | None
    embedded: int
    found: int
    wrong: int
    foreign: int
    failed: int
    right: int = 0
    margin_db: float | None = None
    lowest_db: float | None = None

    @property
    def is_clean(self) -> bool:
        """Whether nothing failed: every mark found, every word right, every record named and no wrong one."""
        return self.embedded > 0 and self.right == self.embedded and not (self.wrong or self.failed)


@dataclass(frozen=True)
class CleanRows:
    """Rows of one group where nothing failed, in a line: their ``names`` and the lowest margin of any mark in them."""

    contender: str
    strength: Amount
    group: str
    names: tuple[str, ...]
    lowest_db: float | None

    def __str__(self) -> str:
        """How many rows, and how sure the least sure mark was.

        >>> str(CleanRows("model@1", None, "geometric", ("hflip", "vflip"), 61.23))
        '2 rows: every word right, 61 dB or more over the threshold'
        """
        rows = f"{len(self.names)} row{'s' if len(self.names) > 1 else ''}: every word right"
        if self.lowest_db is None:
            return rows
        if self.lowest_db < 1:
            return f"{rows}, the least sure mark within 1 dB of the threshold or below"
        return f"{rows}, {math.floor(self.lowest_db)} dB or more over the threshold"


@dataclass(frozen=True)
class NullLine:
    """False positives of one row: pictures with any detection, with the exact interval of Clopper and Pearson."""

    contender: str
    row: str
    pictures: int
    alarms: int
    rate: float | None
    low: float
    high: float
    wrong: int


NAMES = tuple(field.name for field in fields(Line))


def results_of(plan: Plan, file: ResultsFile) -> list[Result]:
    """What the plan asked for and the file has, in the order of the tables."""
    keys = dict.fromkeys(key for _, key in plan.cells())
    return [file.known[key] for key in keys if key in file.known]


def row_lines(results: Sequence[Result]) -> list[Line]:
    """A line for each row of each contender at each strength, but for the unmarked ones."""
    seen = _qualities(results)
    rows: dict[tuple[str, Amount, str], list[Result]] = {}
    for result in results:
        if result.group not in (QUALITY, ADVERSARY, "unmarked"):
            rows.setdefault((result.key.contender, result.key.strength, result.key.row), []).append(result)
    return [_line(members, seen) for members in rows.values()]


def group_lines(lines: Sequence[Line]) -> list[Line]:
    """The mean of the rows of each group, every row with the same weight."""
    groups: dict[tuple[str, Amount, str], list[Line]] = {}
    for line in lines:
        groups.setdefault((line.contender, line.strength, line.group), []).append(line)
    order = {group: number for number, group in enumerate(ALL_GROUPS)}
    entrants = list(dict.fromkeys((line.contender, line.strength) for line in lines))
    keys = sorted(groups, key=lambda key: (entrants.index(key[:2]), order[key[2]]))
    return [_group(key[2], groups[key]) for key in keys]


def kind_lines(results: Sequence[Result]) -> list[Line]:
    """A line for each kind of picture, which is the folder that photos lie in below the one that was given: the mean of
    all rows on marked photos of that kind. None where there are not several."""
    kinds: dict[tuple[str, Amount, str], list[Result]] = {}
    for result in results:
        folder, slash, _ = result.key.photo.partition("/")
        if slash and result.group not in (QUALITY, ADVERSARY, "unmarked"):
            kinds.setdefault((result.key.contender, result.key.strength, folder), []).append(result)
    if len({kind for _, _, kind in kinds}) < 2:
        return []
    seen = _qualities(results)
    lines = []
    for (_, _, kind), members in sorted(kinds.items(), key=lambda item: (item[0][0], str(item[0][1]), item[0][2])):
        own = row_lines([*members, *(result for result in results if result.group == QUALITY)])
        photos = len({result.key.photo for result in members if result.error is None})
        psnr = rounded(mean({key: value for key, value in seen.items() if key[3].startswith(f"{kind}/")}.values()))
        lines.append(replace(_group(kind, own), row=f"{len(own)} rows", photos=photos, psnr_db=psnr))
    return lines


def split_clean(lines: Sequence[Line]) -> tuple[list[CleanRows], list[Line]]:
    """Rows where nothing failed, by contender, strength and group, and the other lines one by one."""
    groups: dict[tuple[str, Amount, str], list[Line]] = {}
    for line in lines:
        if line.is_clean:
            groups.setdefault((line.contender, line.strength, line.group), []).append(line)
    entrants = list(dict.fromkeys((line.contender, line.strength) for line in lines))
    clean = [
        CleanRows(*key, tuple(line.row for line in groups[key]), _lowest(line.lowest_db for line in groups[key]))
        for key in sorted(groups, key=lambda key: (entrants.index(key[:2]), ALL_GROUPS.index(key[2])))
    ]
    return clean, [line for line in lines if not line.is_clean]


def null_lines(results: Sequence[Result]) -> list[NullLine]:
    """False positives on pictures where nothing should be found, and of another registry on all marked ones."""
    rows: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        if result.group == "unmarked" and result.error is None:
            rows.setdefault((result.key.contender, result.key.row), []).append(result)
    lines = [
        _null(
            contender,
            row,
            [bool(each.values["detections"]) for each in members],
            sum(m.values["wrong"] for m in members),
        )
        for (contender, row), members in rows.items()
    ]
    for contender in dict.fromkeys(result.key.contender for result in results):
        read = [
            r
            for r in results
            if r.key.contender == contender and r.group not in (QUALITY, ADVERSARY) and r.error is None
        ]
        named = [bool(result.values["foreign"]) for result in read]
        lines.append(_null(contender, "records of another registry named", named, sum(named)))
    return lines


def interval(count: int, total: int) -> tuple[float, float]:
    """The exact 95% interval of a share (Clopper and Pearson, 1934)."""
    if not total:
        return 0.0, 1.0
    bounds = binomtest(count, total).proportion_ci(CONFIDENCE, method="exact")
    return float(bounds.low), float(bounds.high)


def upper_bound(count: int, total: int) -> float:
    """The upper end of the one-sided exact 95% interval of a share: about 3 / total where nothing was seen."""
    return float(binomtest(count, total, alternative="less").proportion_ci(CONFIDENCE, method="exact").high)


def quality_lines(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Mean quality of each contender at each strength, the lowest PSNR and the lowest ColorVideoVDP."""
    groups: dict[tuple[str, Amount], list[Result]] = {}
    for result in results:
        if result.group == QUALITY and result.error is None:
            groups.setdefault((result.key.contender, result.key.strength), []).append(result)
    lines = []
    for (contender, strength), members in groups.items():
        means = {name: rounded(mean(each.values.get(name) for each in members)) for name in QUALITIES}
        known = [each.values["psnr_db"] for each in members if each.values["psnr_db"] is not None]
        lowest = min(known, default=None)
        seen = [each.values["cvvdp_jod"] for each in members if each.values.get("cvvdp_jod") is not None]
        lines.append(
            {
                "contender": contender,
                "strength": strength,
                "photos": len(members),
                **means,
                "lowest_psnr": rounded(lowest),
                "lowest_cvvdp": rounded(min(seen, default=None)),
            }
        )
    return lines


def failures(results: Sequence[Result]) -> list[str]:
    """One line for each thing that failed: a photo that cannot be read once, not once for each row."""
    lines: dict[tuple[str, str], list[str]] = {}
    for result in results:
        if result.error is not None:
            lines.setdefault((result.key.photo, result.error), []).append(result.key.row)
    texts = []
    for (photo, error), rows in lines.items():
        where = rows[0] if len(set(rows)) == 1 else f"{len(set(rows))} rows"
        texts.append(f"{photo} ({where}): {error.removeprefix(f'{photo}: ')}")
    return texts


def mean(values: Iterable[float | bool | None]) -> float | None:
    """The mean of what is not None, None of nothing."""
    numbers = [float(value) for value in values if value is not None]
    return float(np.mean(numbers)) if numbers else None


def rounded(value: float | None) -> float | None:
    """Four decimals are more than any of these figures bears."""
    return None if value is None else round(value, 4)


def _qualities(results: Sequence[Result]) -> dict[tuple[str, Amount, str, str], float | None]:
    return {
        (result.key.contender, result.key.strength, result.key.images, result.key.photo): result.values["psnr_db"]
        for result in results
        if result.group == QUALITY and result.error is None
    }


def _line(results: Sequence[Result], seen: dict[tuple[str, Amount, str, str], float | None]) -> Line:
    first = results[0]
    whole = [result for result in results if result.error is None]
    marks = [mark for result in whole for mark in result.values["marks"]]
    photos = [mean(mark["bits"] for mark in result.values["marks"]) for result in whole]
    keys = [(r.key.contender, r.key.strength, r.key.images, r.key.photo) for r in whole]
    margins = [margin for margin in map(mark_margin, marks) if margin is not None]
    return Line(
        contender=first.key.contender,
        strength=first.key.strength,
        group=first.group,
        row=first.key.row,
        photos=len(whole),
        psnr_db=rounded(mean(seen.get(key) for key in keys)),
        tpr=rounded(mean(mark["found"] for mark in marks)),
        bits=rounded(mean(mark["bits"] for mark in marks)),
        worst=rounded(min((photo for photo in photos if photo is not None), default=None)),
        words=rounded(mean(mark["word"] for mark in marks)),
        records=rounded(mean(mark["record"] for mark in marks)),
        iou=rounded(mean(mark["iou"] for mark in marks)),
        embedded=len(marks),
        found=sum(bool(mark["found"]) for mark in marks),
        wrong=sum(result.values["wrong"] for result in whole),
        foreign=sum(result.values["foreign"] for result in whole),
        failed=len(results) - len(whole),
        right=sum(mark["found"] is not False and mark["word"] and mark["record"] for mark in marks),
        margin_db=rounded(mean(margins)),
        lowest_db=_lowest(margins),
    )


def _group(name: str, lines: Sequence[Line]) -> Line:
    return replace(
        lines[0],
        row=f"{len(lines)} rows",
        group=name,
        photos=max(line.photos for line in lines),
        psnr_db=rounded(mean(line.psnr_db for line in lines)),
        tpr=rounded(mean(line.tpr for line in lines)),
        bits=rounded(mean(line.bits for line in lines)),
        worst=min((line.worst for line in lines if line.worst is not None), default=None),
        words=rounded(mean(line.words for line in lines)),
        records=rounded(mean(line.records for line in lines)),
        iou=rounded(mean(line.iou for line in lines)),
        embedded=sum(line.embedded for line in lines),
        found=sum(line.found for line in lines),
        wrong=sum(line.wrong for line in lines),
        foreign=sum(line.foreign for line in lines),
        failed=sum(line.failed for line in lines),
        right=sum(line.right for line in lines),
        margin_db=rounded(mean(line.margin_db for line in lines)),
        lowest_db=_lowest(line.lowest_db for line in lines),
    )


def mark_margin(mark: dict[str, Any]) -> float | None:
    """Decibels over the threshold of one mark in results.jsonl, 0 where it was not found, or was by its record although
    it is below; None where nothing is known: of methods without a threshold, and in results of 0.2.0."""
    if "margin_db" not in mark:
        return None
    if mark["found"] is False:
        return 0.0
    return None if mark["margin_db"] is None else max(0.0, float(mark["margin_db"]))


def _lowest(values: Iterable[float | None]) -> float | None:
    return min((value for value in values if value is not None), default=None)


def _null(contender: str, row: str, alarms: Sequence[bool], wrong: int) -> NullLine:
    low, high = interval(sum(alarms), len(alarms))
    rate = rounded(sum(alarms) / len(alarms)) if alarms else None
    return NullLine(contender, row, len(alarms), sum(alarms), rate, rounded(low) or 0.0, rounded(high) or 0.0, wrong)
