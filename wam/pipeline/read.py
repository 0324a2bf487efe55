"""Reading one picture: find its marks, then judge their words by the registry.

``examine`` knows nothing of the registry, so that any process on any machine may do it; ``judge`` asks it; ``read``
does both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from payload import Match, Record, format_link, hash_rgb, hashes_before_cut, read_word
from payload.registry.entry import IN_USE, TAKEN_BACK, Entry
from wam.models.effort import USUAL, Effort
from wam.models.protocol import SearchSummary
from wam.pictures.animation import decode_animation
from wam.pictures.files import require_size
from wam.pictures.reader import decode, read_what_is_there
from wam.pictures.samples import Picture
from wam.pipeline.binding import Binding, Part, binding_of, part_of
from wam.pipeline.frames import merge, to_read
from wam.pipeline.marked import record_name
from wam.pipeline.record_marks import FoundRecord, find_records
from wam.pipeline.registered_words import RegisteredWords
from wam.pipeline.transplant import is_comparable, is_whole, link_is_transplanted
from wam.provenance.aigc_label import Label, label_agrees, read_label
from wam.region import Region, reading_order
from wam.signal.mark_grid import SMALLEST_SIDE
from wam.watermarker import Detection, Watermarker

CUT_SHORT = "the file is cut short: what is there was searched"
TIME_OVER = "the time was over: what was looked at until then is given"
QUICK = "a quick look: at the usual resolution only"


@dataclass(frozen=True)
class Reading:
    """One watermark of a file with what the registries say of it; ``binding``: whether it lies on the picture that was
    marked, as far as that can be checked, None where no record is known.
    ``registry``: the name of the first that knows its word, ``also_in`` those of others in which it stands for another
    record."""

    detection: Detection
    match: Match
    entry: Entry | None
    binding: Binding | None
    registry: str | None = None
    also_in: tuple[str, ...] = ()

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
    def log10_p(self) -> float:
        """Chance of such a result without a watermark."""
        return self.match.log10_p

    @property
    def link(self) -> str | None:
        """The short link of the accepted word."""
        return None if self.match.word is None else format_link(self.match.word)


AnyReading = Reading | FoundRecord


@dataclass(frozen=True)
class Examined:
    """What a file shows without a registry: its size in pixels, the records in it, the marks that belong to none, faint
    ones too, its 64-bit hash, the label in its metadata, what the search of each frame did, where the model says so,
    hashes that the picture may have had before it was ``cut``, the ``reason`` why not all of it was searched, and of
    each of ``detections`` the part of the picture that it lies on, brought back to how it was marked."""

    width: int
    height: int
    detections: tuple[Detection, ...]
    phash: int | None
    present: float
    label: Label | None = None
    records: tuple[FoundRecord, ...] = ()
    searches: tuple[SearchSummary, ...] = ()
    cut: tuple[int, ...] = ()
    reason: str | None = None
    parts: tuple[Part | None, ...] = ()

    @property
    def hashes(self) -> tuple[int, ...]:
        """The picture's own hash and those it may have had before it was cut; empty where none was needed."""
        return () if self.phash is None else (self.phash, *self.cut)


@dataclass(frozen=True)
class Findings:
    """What a file says: its size in pixels, the marks in it as people read a page, the ``label`` in its metadata, what
    the ``searches`` of its frames did, where the model says so, and the ``reason`` why not all of it was searched, None
    where it was; how many ``registries`` were asked."""

    width: int
    height: int
    readings: tuple[AnyReading, ...]
    label: Label | None = None
    searches: tuple[SearchSummary, ...] = ()
    reason: str | None = None
    registries: int = 0

    @property
    def complete(self) -> bool:
        """Whether all of the file was searched as asked."""
        return self.reason is None

    @property
    def marks(self) -> tuple[AnyReading, ...]:
        """The marks, as the page for Python calls them: ``readings``."""
        return self.readings

    @property
    def label_agrees(self) -> bool | None:
        """Whether a watermark says what the label says; None where nothing can be compared."""
        if self.label is None:
            return None
        return label_agrees(self.label, [_stated(reading) for reading in self.readings])


def read(
    marker: Watermarker,
    content: bytes,
    *,
    name: str = "picture",
    words: RegisteredWords | None = None,
    effort: Effort = USUAL,
    frames: bool = False,
) -> Findings:
    """Every mark of one file with its record; raises ``ImageError`` for content that is no picture to be searched.

    ``name``: what errors call it. ``words``: those in use in a registry, to be kept from one picture to the next; None:
    no record is known. ``effort`` and ``frames`` as in ``examine`` and ``open_pictures``.
    """
    steps = ReadSteps(marker, effort=effort, frames=frames)
    return judge(steps.examine(steps.open(content, name=name)), words or RegisteredWords())


@dataclass(frozen=True)
class ReadSteps:
    """How every caller reads a file: ``open`` its pictures, ``examine`` them, then ``judge`` what was found.

    ``read`` does it in one go; engines wait between the steps, or judge, which alone needs the registry, elsewhere.
    """

    marker: Watermarker
    effort: Effort = USUAL
    frames: bool = False

    def open(self, content: bytes, *, name: str = "picture") -> tuple[Picture, ...]:
        """See ``open_pictures``."""
        return open_pictures(content, name=name, frames=self.frames)

    def examine(self, pictures: Sequence[Picture]) -> Examined:
        """See ``examine``."""
        return examine(self.marker, *pictures, effort=self.effort)


def open_pictures(content: bytes, *, name: str = "picture", frames: bool = False) -> tuple[Picture, ...]:
    """The picture of a file; with ``frames`` all those of an animation, the telling one first. Of a file that is cut
    short as much as there is."""

    def open_all(content: bytes) -> tuple[Picture, ...]:
        return to_read(decode_animation(content, name=name)) if frames else (decode(content, name=name),)

    pictures, cut_short = read_what_is_there(content, open_all)
    return tuple(replace(picture, cut_short=True) for picture in pictures) if cut_short else pictures


def examine(marker: Watermarker, picture: Picture, *more: Picture, effort: Effort = USUAL) -> Examined:
    """Every mark of one picture, however faint; raises ``ImageError`` for one that is too small to be looked at.

    ``more``: further frames of an animation, whose marks are gathered. ``effort``: how much is looked for, in each.
    """
    require_size(picture, SMALLEST_SIDE)
    bounds = marker.model.description
    frames = [
        marker.detect_and_explain(one.pixels, effort=effort, max_log10_p=bounds.faint) for one in (picture, *more)
    ]
    detections = merge(found for found, _ in frames) if more else frames[0][0]
    searches = tuple(search for _, search in frames if search is not None)
    phash = hash_rgb(picture.pixels) if detections else None
    label = read_label(picture.metadata)
    records, others = find_records(detections, keys=marker.keys, phash=phash)
    cut = hashes_before_cut(picture.pixels) if any(is_whole(one) for one in others) else ()
    return Examined(
        picture.width, picture.height, tuple(others), phash, bounds.present, label, tuple(records), searches, cut,
        _why_incomplete(picture, effort, searches),
        tuple(part_of(picture.pixels, one) for one in others) if not more else (),
    )  # fmt: skip


def _why_incomplete(picture: Picture, effort: Effort, searches: Sequence[SearchSummary]) -> str | None:
    """Why not all of a file was searched; None where it was."""
    reasons = [CUT_SHORT] if picture.cut_short else []
    if any(search.cut_short for search in searches):
        reasons.append(TIME_OVER)
    elif effort.quick and searches:
        reasons.append(QUICK)
    return "; ".join(reasons) or None


def judge(examined: Examined, words: RegisteredWords) -> Findings:
    """The marks with their records; ``words`` and their registry are asked only where there are marks.

    What looks like the remains of a record is a link after all where its word is registered.
    """
    found: list[AnyReading] = []
    detections = list(examined.detections)
    parts = [*examined.parts, *(None for _ in detections[len(examined.parts) :])]
    for record in examined.records:
        links = [] if record.record else [_look_up(one, None, examined, words) for one in record.detections]
        if any(link.status == "verified" for link in links):
            detections += record.detections
            parts += [None for _ in record.detections]
        else:
            found.append(record)
    readings = [_look_up(one, part, examined, words) for one, part in zip(detections, parts, strict=True)]
    # a faint mark counts if its word is registered, which the match itself has weighed; any other has to be plain
    found += [r for r in readings if r.status == "verified" or r.detection.log10_p <= examined.present]
    ordered = tuple(found[place] for place in reading_order([one.region for one in found]))
    return Findings(
        examined.width, examined.height, ordered, examined.label, examined.searches, examined.reason,
        len(words.registries),
    )  # fmt: skip


def _look_up(detection: Detection, part: Part | None, examined: Examined, words: RegisteredWords) -> Reading:
    match = read_word(detection.logits, words.get(), presence_log10_p=detection.log10_p)
    if not words.registries or match.word is None:
        return Reading(detection, match, None, None)
    found = words.find(match.word)
    in_use = [(name, entry) for name, entry in found if entry.state in IN_USE]
    if match.status in ("verified", "unregistered") and bool(in_use) != (match.status == "verified"):
        # registered, withdrawn or discarded since the list of words was read
        match = read_word(detection.logits, words.get(renew=True), presence_log10_p=detection.log10_p)
    if match.status != "verified":
        back = next((name for name, entry in found if entry.state in TAKEN_BACK), None)
        return Reading(detection, match if back is None else replace(match, status="withdrawn"), None, None, back)
    if not in_use:
        return Reading(detection, match, None, None)
    (name, entry), *others = in_use
    also_in = tuple(other for other, twin in others if (twin.serial, twin.record) != (entry.serial, entry.record))
    binding = binding_of(part, entry.sketch)
    if binding == "unbound" and is_comparable(detection, examined.hashes, entry.phash):
        binding = "other" if link_is_transplanted(detection, examined.hashes, entry.phash) else "own"
    return Reading(detection, match, entry, binding, name, also_in)


def _stated(reading: AnyReading) -> tuple[str | None, str | None, str | None]:
    """What a label on a watermark would say: name, message and owner, as far as they are known."""
    if reading.record is None:
        return reading.link, reading.message, None
    return reading.link or record_name(reading.record), reading.message, reading.record.owner
