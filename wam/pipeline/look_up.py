"""What registries say of one mark: the record behind its word, or, where the word alone does not say whose mark it is,
the records that it could be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from payload import Match, Record, format_link, read_word
from payload.codes.word_match import may_be_named, without_name
from payload.layout import ID_COUNT, Words
from payload.registry.entry import IN_USE, TAKEN_BACK, Entry
from payload.sketch import Binding
from wam.pipeline.binding import UNBOUND, Comparison, Part, compare_part
from wam.pipeline.registered_words import RegisteredWords
from wam.pipeline.transplant import UNKNOWN, Hashes, compare_whole
from wam.region import Region
from wam.watermarker import Detection


@dataclass(frozen=True)
class Candidate:
    """A record that a mark could be of: the name of its ``registry``, its ``entry``, the ``binding`` to its picture,
    and ``name_log10_p``, log10 of the chance that a mark of another registry comes as near to being named so."""

    registry: str
    entry: Entry
    binding: Binding
    name_log10_p: float


@dataclass(frozen=True)
class Reading:
    """One watermark of a file with what the registries say of it; ``binding``: whether it lies on the picture that was
    marked, as far as that can be checked, None where no record is known.
    ``registry``: the name of the one whose record it is, ``also_in`` those of others in which it stands for another
    record. ``candidates``: the records that it could be, where its word alone does not say that it is one of them; none
    of them is named then."""

    detection: Detection
    match: Match
    entry: Entry | None
    binding: Binding | None
    registry: str | None = None
    also_in: tuple[str, ...] = ()
    candidates: tuple[Candidate, ...] = ()

    @property
    def status(self) -> str:
        """As in the command-line contract."""
        return self.match.status

    @property
    def transplanted(self) -> bool:
        """Whether it lies on a picture other than its own."""
        return self.binding == "other"

    @property
    def record(self) -> Record | None:
        """What the mark stands for, where the registry has it."""
        return None if self.entry is None else self.entry.record

    @property
    def message(self) -> str | None:
        """The accepted word as 32 characters."""
        return self.match.message

    @property
    def region(self) -> Region:
        """Where the mark is."""
        return self.detection.region

    @property
    def mask(self) -> NDArray[np.bool_]:
        """(H, W) bool at the picture's own size."""
        return self.detection.mask

    @property
    def negative(self) -> bool:
        """Whether it was read with light and dark exchanged."""
        return self.detection.pose.negative

    @property
    def log10_p(self) -> float:
        """Chance of such a result without a watermark."""
        return self.match.log10_p

    @property
    def link(self) -> str | None:
        """The short link of the accepted word; None for a word of another registry, whose generation is not known."""
        if self.match.word is None or self.detection.foreign:
            return None
        return format_link(self.match.word, 0 if self.detection.label is None else self.detection.label.generation)

    @property
    def name_log10_p(self) -> float | None:
        """log10 of the chance that a mark of another registry gets a name here, where this one has one."""
        return None if self.entry is None else self.match.name_log10_p


@dataclass(frozen=True)
class Seen:
    """What is there of a picture to judge one mark by: the ``part`` that it lies on, brought back to how it was marked,
    the ``hashes`` of the whole, and whether it was read with a secret key, which keeps marks of strangers out."""

    part: Part | None = None
    hashes: Hashes = UNKNOWN
    keyed: bool = False


def look_up(detection: Detection, seen: Seen, words: RegisteredWords) -> Reading:
    """One mark with what the registries of ``words`` say of it."""
    label = detection.label
    known = partial(words.get, label=label)
    if detection.foreign:  # of none of these registries: its word says nothing here
        return Reading(detection, read_word(detection.logits, None, presence_log10_p=detection.log10_p), None, None)
    match = _read_word(detection, known())
    if not words.registries or match.word is None:
        return Reading(detection, match, None, None)
    found = words.find(match.word, label=label)
    in_use = [(name, entry) for name, entry in found if entry.state in IN_USE]
    if match.status in ("verified", "unregistered") and bool(in_use) != (match.status == "verified"):
        # registered, withdrawn or discarded since the list of words was read
        match = _read_word(detection, known(renew=True))
    if match.status != "verified":
        back = [(name, entry) for name, entry in found if entry.state in TAKEN_BACK]
        if not _was_ours(detection, back, seen, words):
            return Reading(detection, match, None, None)
        return Reading(detection, replace(match, status="withdrawn"), None, None, back[0][0])
    if not in_use:
        return Reading(detection, match, None, None)
    return _named(detection, match, in_use, seen)


def _named(detection: Detection, match: Match, found: Sequence[tuple[str, Entry]], seen: Seen) -> Reading:
    """A mark with the first of the records of its word; where a plain word alone does not say that it is of any of
    them, with the first on whose picture it lies, or without a name."""
    assert match.name_log10_p is not None
    alone = match.name_log10_p
    if detection.label is not None or seen.keyed or may_be_named(alone):
        name, entry = found[0]
        binding = _compared(detection, entry, seen).binding
        return Reading(detection, match, entry, binding, name, _others(entry, found))
    apart = {_what(entry): (name, entry) for name, entry in reversed(found)}  # a registry and its copies: the first
    candidates = []
    for name, entry in (one for one in found if one == apart[_what(one[1])]):
        compared = _compared(detection, entry, seen)
        chance = alone + min(0.0, compared.log10_p + math.log10(len(apart)))  # it may lie on any of their pictures
        if may_be_named(chance):
            named = replace(match, name_log10_p=chance)
            return Reading(detection, named, entry, compared.binding, name, _others(entry, found))
        candidates.append(Candidate(name, entry, compared.binding, chance))
    return Reading(detection, without_name(match), None, None, candidates=tuple(candidates))


def _was_ours(detection: Detection, back: Sequence[tuple[str, Entry]], seen: Seen, words: RegisteredWords) -> bool:
    """Whether a mark is of one of the records with its word that were taken back: as for a name, a plain word does not
    say so alone where so many were that marks of other registries have one of their words, too."""
    if not back or detection.label is not None or seen.keyed:
        return bool(back)
    alone = math.log10(min(1.0, max(1, words.taken_back) / ID_COUNT))
    if may_be_named(alone):
        return True
    entries = {_what(entry): entry for _, entry in back}.values()
    nearest = min(_compared(detection, entry, seen).log10_p for entry in entries)
    return may_be_named(alone + min(0.0, nearest + math.log10(len(entries))))


def _what(entry: Entry) -> tuple[int, Record]:
    """What an entry has in common with its copy in another registry."""
    return entry.serial, entry.record


def _others(own: Entry, found: Sequence[tuple[str, Entry]]) -> tuple[str, ...]:
    """The registries in which the word stands for another record."""
    return tuple(name for name, entry in found if _what(entry) != _what(own))


def _compared(detection: Detection, entry: Entry, seen: Seen) -> Comparison:
    """Whether a mark lies on the picture of an entry: by the sketch, or by what the whole looks like."""
    by_part = compare_part(seen.part, entry.sketch, negative=detection.pose.may_be_negative)
    if by_part != UNBOUND:
        return by_part
    kept = Hashes(() if entry.phash is None else (entry.phash,), () if entry.pdq is None else (entry.pdq,))
    return compare_whole(detection, seen.hashes, kept)


def _read_word(detection: Detection, known: Words | None) -> Match:
    return read_word(
        detection.logits,
        known,
        presence_log10_p=detection.log10_p,
        label_log10_p=None if detection.label is None else detection.label_log10_p,
    )
