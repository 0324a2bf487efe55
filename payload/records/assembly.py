"""Records out of the marks of one picture: which marks belong together, and what they say."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import log10
from typing import Literal

import numpy as np
import numpy.typing as npt

from payload.codes.soft_decoding import decode_soft, nearest, weigh
from payload.layout import FRAME_VERSION, ID_BITS, LEAST_DATA_MARKS, SEAL_BITS, TAG_BITS, WORD_BITS, data_marks
from payload.records.erasure_code import Symbols, frame_sizes, join_frame, split_frame
from payload.records.frame import Opened, Protection, frame_tag, open_frame
from payload.records.gf2_solver import consistent_choices
from payload.records.keys import Subkeys
from payload.records.mark_words import Hypothesis, distance_to, read_mark
from payload.records.record import Record

RecordStatus = Literal["verified", "unverified", "unreadable"]

MEMBER_LOG10_P = -3.0  # chance, as a power of ten, that a mark counted as one of a record that was read is none of it

REMAINS_LOG10_P = -4.0  # the same for marks too few for a record, of one tag, together

_USED = 1 << 20  # discrepancy added to marks of records already found
_TAG_SUPPORT = 3  # marks that a tag fits best from which it is looked into
_DROPPED = 4  # doubtful marks that the search for consistent choices leaves out, one at a time


@dataclass(frozen=True)
class RecordReading:
    """One record of a picture, or what is left of it.

    ``verified``: the seal holds under the key. ``unverified``: the checksum holds, so this is what was
    written, but anyone can have written it. ``unreadable``: too few marks, a seal that does not hold,
    or another version; ``record`` is None then, and ``problem`` says why. No field of an incomplete
    record is given, since nothing vouches for a part of it.

    ``members`` are positions in the list of readings; ``read`` counts the different marks among them,
    ``needed`` of the ``embedded`` ones are enough (both None where the number of marks is not known);
    ``words`` are all marks as 32-bit words. ``phash`` is the 32-bit hash of the picture it was made
    for, if it has one. ``log10_p``: the probability that so good a result comes from random words,
    counting all that was tried.
    """

    status: RecordStatus
    record: Record | None
    members: tuple[int, ...]
    read: int
    needed: int | None
    embedded: int | None
    words: tuple[int, ...]
    log10_p: float
    version: int | None = None
    protection: Protection | None = None
    phash: int | None = None
    problem: str | None = None


def read_records(readings: Sequence[npt.ArrayLike], *, subkeys: Subkeys | None = None) -> list[RecordReading]:
    """Find every record among readings of 32 logits each, greater than zero for a one, in any order.

    All readings are of one carrier, and ``subkeys`` are those of its key. Marks of different records,
    and link words, may be among them; what belongs to no record is left out. Whole records first.
    """
    hypotheses = [read_mark(logits) for logits in readings]
    tries = _Tries(subkeys)
    left = set(range(len(readings)))
    found = []
    while left:
        frame = _first_frame(hypotheses, left, tries)
        if frame is None:
            break
        found.append(_describe(frame, readings, tries))
        left -= set(found[-1].members)
    return found + _remains(readings, hypotheses, left)


class _Tries:
    """Opens frames and counts them, for every one is a chance to be wrong."""

    def __init__(self, subkeys: Subkeys | None) -> None:
        self.subkeys = subkeys
        self.seen: set[bytes] = set()

    def holds(self, frame: bytes, tag: int) -> bool:
        """Tell whether tag and seal of a frame hold that was not looked at before."""
        if frame in self.seen:
            return False
        self.seen.add(frame)
        return frame_tag(frame) == tag and self.open(frame) is not None

    def open(self, frame: bytes) -> Opened | None:
        return open_frame(frame, subkeys=self.subkeys)

    @property
    def log10_p(self) -> float:
        """Chance that any of the frames held by luck."""
        return min(0.0, log10(max(len(self.seen), 1)) - (SEAL_BITS + TAG_BITS) * log10(2))


@dataclass(frozen=True)
class _Group:
    """What was read under one tag: by index, different symbols with their discrepancies, least first."""

    options: dict[int, list[tuple[int, Symbols]]]

    @classmethod
    def of(cls, hypotheses: Iterable[tuple[int, Hypothesis]]) -> _Group:
        least: dict[int, dict[Symbols, int]] = defaultdict(dict)
        for penalty, hypothesis in hypotheses:
            known, cost = least[hypothesis.mark.index], penalty + hypothesis.discrepancy
            known[hypothesis.mark.symbols] = min(cost, known.get(hypothesis.mark.symbols, cost))
        return cls({i: sorted((cost, pair) for pair, cost in known.items()) for i, known in least.items()})

    @property
    def best(self) -> dict[int, Symbols]:
        return {index: options[0][1] for index, options in self.options.items()}

    @property
    def doubtful(self) -> list[int]:
        """Indices, the least certain first: by how much better the best symbols fit than a sure reading would."""
        return sorted(self.options, key=lambda index: -self.options[index][0][0])

    @property
    def is_ambiguous(self) -> bool:
        return any(len(options) > 1 for options in self.options.values())


def _first_frame(hypotheses: Sequence[list[Hypothesis]], left: set[int], tries: _Tries) -> bytes | None:
    """Find a new frame whose seal holds, under the tag that most of the marks that are left have first.

    Marks of records already found are the last choice: two records may have marks in common, as
    those of the same second have.
    """
    support = Counter(hypotheses[place][0].mark.tag for place in left if hypotheses[place])
    for tag, count in support.most_common():
        if count < _TAG_SUPPORT:
            break
        group = _Group.of(
            (0 if place in left else _USED, hypothesis)
            for place, each in enumerate(hypotheses)
            for hypothesis in each
            if hypothesis.mark.tag == tag
        )
        for frame in _frames(group):
            if tries.holds(frame, tag):
                return frame
    return None


def _frames(group: _Group) -> Iterator[bytes]:
    """Decode the marks of one tag in every way that makes sense, the likeliest first."""
    sizes = frame_sizes(len(group.options))
    doubtful = group.doubtful
    for marks in sizes:
        yield from join_frame(group.best, marks, doubtful=doubtful)
    if not group.is_ambiguous:
        return
    for dropped in [None, *doubtful[:_DROPPED]]:
        candidates = {i: [pair for _, pair in options] for i, options in group.options.items() if i != dropped}
        for marks in sizes:
            for chosen in consistent_choices(candidates, marks):
                yield from join_frame(chosen, marks)


def _describe(frame: bytes, readings: Sequence[npt.ArrayLike], tries: _Tries) -> RecordReading:
    """Say what a frame whose seal holds says, and which readings are marks of it."""
    words = tuple(mark.word for mark in split_frame(frame))
    table = np.array(words, dtype=np.uint32)
    members, read = [], set()
    for place, logits in enumerate(readings):
        match = nearest(logits, table)
        if match is not None and match.log10_p <= MEMBER_LOG10_P:
            members.append(place)
            read.add(match.word)
    opened = tries.open(frame)
    assert opened is not None
    known = opened.record is not None
    keyed = opened.protection != "checksum"
    return RecordReading(
        status=("verified" if keyed else "unverified") if known else "unreadable",
        record=opened.record,
        members=tuple(members),
        read=len(read),
        needed=data_marks(len(words)),
        embedded=len(words),
        words=words,
        log10_p=tries.log10_p,
        version=opened.version,
        protection=opened.protection,
        phash=opened.phash,
        problem=None if known else f"record of version {opened.version}, this wam reads {FRAME_VERSION}; update wam",
    )


def _remains(
    readings: Sequence[npt.ArrayLike], hypotheses: Sequence[list[Hypothesis]], left: set[int]
) -> list[RecordReading]:
    """Group marks that were read well but make no record."""
    groups: dict[int, list[tuple[int, int, float]]] = defaultdict(list)
    for place in sorted(left):
        options = hypotheses[place]
        if options and not _is_rather_a_link(readings[place], options[0]):
            best = options[0]
            chance = log10(weigh(readings[place]).patterns_within(best.discrepancy)) - WORD_BITS * log10(2)
            groups[best.mark.tag].append((place, best.mark.index, chance))
    found = []
    for members in groups.values():
        log10_p = _chance_of_remains([chance for _, _, chance in members])
        indices = {index for _, index, _ in members}
        if len(indices) > 1 and log10_p <= REMAINS_LOG10_P:
            enough = len(indices) >= LEAST_DATA_MARKS
            why = "its marks do not fit its seal under this key, or too many are lost" if enough else "too few marks"
            found.append(_unreadable(tuple(place for place, _, _ in members), len(indices), log10_p, why))
    return found


def _unreadable(members: tuple[int, ...], read: int, log10_p: float, why: str) -> RecordReading:
    return RecordReading(
        "unreadable", None, members, read, None, None, (), log10_p, problem=f"{read} marks of a record: {why}"
    )


def _is_rather_a_link(logits: npt.ArrayLike, best: Hypothesis) -> bool:
    """Tell whether a link word is at least as near as the best mark of a record."""
    link = decode_soft(logits)
    return link is not None and int(distance_to(logits, [link.word])[0]) <= best.discrepancy


def _chance_of_remains(chances: Sequence[float]) -> float:
    """Bound the chance that random words are so near to marks of one tag: any tag for one, the same for the others."""
    word_chance = [min(0.0, chance + ID_BITS * log10(2)) for chance in chances]
    return min(0.0, sum(word_chance) + TAG_BITS * log10(2))
