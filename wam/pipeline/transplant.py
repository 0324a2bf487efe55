"""Whether a mark that was read lies on a picture other than its own: residuals can be copied.

By hashes of the picture that was marked, which only whole upright pictures can be compared with; parts are compared by
``binding``, whole ones too, and these say what that leaves open.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from payload import RecordReading, distance, distance_to, shorten
from payload.layout import FRAME_HASH_BITS
from payload.phash import PHASH_BITS
from payload.registry.pdq import PDQ_BITS
from payload.sketch import Binding
from wam.models.protocol import FoundPose
from wam.pipeline.binding import UNBOUND, Comparison
from wam.signal.mark_grid import WORKING_SIDES, divide, working_side
from wam.watermarker import Detection

# Bits of 64: hashes of a marked picture and of another lie around 32, of its copies below 12; with what was cut off
# guessed 12% of other pictures are as near, see docs/limits.md.
DISTANCE = 22
PDQ_DISTANCE = 95  # bits of 256, with what was cut off guessed: .05% of other pictures are as near, see docs/limits.md
SHORT_DISTANCE = 9  # bits of 32: a marked picture and its copies lie below 5, other pictures around 16
SAME_SCALE = 0.03  # of marks in a picture that was not cut: larger differences mean that it cannot be compared
SAME_ANGLE = 2.0  # degrees
SAME_PLACE = 0.05  # of the short side: the same for where the marks of a record lie
WHOLE = 0.9  # share of the picture from which a mark's region is compared with the registered hash


def is_whole(detection: Detection) -> bool:
    """Whether a mark lies over nearly all of the picture, as it was marked."""
    upright = _is_upright(detection.pose, detection.pose.scale) and detection.pose.placed
    return upright and detection.region.area >= WHOLE


@dataclass(frozen=True)
class Hashes:
    """What a whole picture looks like: its hashes of 64 bits and its fingerprints (``pdqs``), each as it is and as it
    may have been before it was cut; none where they are not known. Of a marked picture a registry has one of each.
    ``plain``: it shows so little that its mark decides the bits (``payload.phash.detail``)."""

    phashes: tuple[int, ...] = ()
    pdqs: tuple[int, ...] = ()
    plain: bool = False


UNKNOWN = Hashes()


def compare_whole(detection: Detection, seen: Hashes, kept: Hashes) -> Comparison:
    """Whether an upright mark over the whole picture sits on the one that was marked: ``own`` where the fingerprints
    are near, or without such the hashes of 64 bits, ``other`` where the latter are far apart.

    Of two plain pictures the hashes say nothing: the mark itself would say that they are alike, and a coarse copy of
    it that they are not. A marked one that has a fingerprint was not plain. A mark that was read with light and dark
    exchanged, or out of focus, may lie on the picture's negative, whose hashes are the same with all bits turned over.
    """
    if not is_whole(detection):
        return UNBOUND
    negative = detection.pose.may_be_negative
    ways = 2 if negative else 1
    pdq = _nearest(seen.pdqs, kept.pdqs, PDQ_BITS, negative=negative)
    phash = _nearest(seen.phashes, kept.phashes, PHASH_BITS, negative=negative)
    if pdq is not None and pdq <= PDQ_DISTANCE:
        return Comparison("own", "fingerprint", ways)
    if phash is None or (seen.plain and not kept.pdqs):
        return UNBOUND
    if phash > DISTANCE:
        return Comparison("other", "hash")
    return UNBOUND if seen.plain or pdq is not None else Comparison("own", "hash", ways)


def _nearest(seen: Sequence[int], kept: Sequence[int], bits: int, *, negative: bool) -> int | None:
    return min((_apart(one, other, bits, negative=negative) for one in seen for other in kept), default=None)


def _apart(seen: int, kept: int, bits: int, *, negative: bool) -> int:
    """In how many of so many bits two hashes differ; ``negative``: or that of the seen picture's negative does."""
    apart = distance(seen, kept)
    return min(apart, bits - apart) if negative else apart


def record_binding(reading: RecordReading, marks: Sequence[Detection], phash: int | None) -> Binding | None:
    """Whether a record is on the picture whose hash it carries; only whole upright ones can be compared. None where no
    record was read."""
    if reading.record is None:
        return None
    if reading.phash is None or phash is None or not _record_is_whole(reading, marks):
        return "unbound"
    return "other" if record_is_transplanted(reading, marks, phash) else "own"


def record_is_transplanted(reading: RecordReading, marks: Sequence[Detection], phash: int | None) -> bool:
    """Whether a record that names its picture by a hash is on another one, whose hash of 64 bits is ``phash``."""
    if reading.phash is None or phash is None or not _record_is_whole(reading, marks):
        return False
    negative = marks[0].pose.may_be_negative
    return _apart(shorten(phash), reading.phash, FRAME_HASH_BITS, negative=negative) > SHORT_DISTANCE


def record_scale(reading: RecordReading, mark: Detection) -> float:
    """Scale of a record's mark relative to how a whole picture of this size is marked with the same record."""
    if reading.embedded is None:
        return mark.pose.scale
    height, width = mark.size
    return mark.pose.scale * working_side(height, width, reading.embedded) / min(WORKING_SIDES[0], height, width)


def _record_is_whole(reading: RecordReading, marks: Sequence[Detection]) -> bool:
    """Whether the marks lie as in a picture that was marked at this size or scaled to it, neither turned nor cut."""
    height, width = marks[0].size
    if not _is_upright(marks[0].pose, record_scale(reading, marks[0])):
        return False
    cells = divide(height, width, len(reading.words))
    apart = []
    for mark in marks:
        cell = cells[int(distance_to(mark.logits, reading.words).argmin())]
        y, x = np.argwhere(mark.coarse_mask).mean(axis=0) + 0.5
        rows, columns = mark.coarse_mask.shape
        apart.append(abs(y / rows * height - cell.top - cell.height / 2))
        apart.append(abs(x / columns * width - cell.left - cell.width / 2))
    return float(np.median(apart)) < SAME_PLACE * min(height, width)


def _is_upright(pose: FoundPose, scale: float) -> bool:
    """Neither turned nor mirrored nor scaled."""
    return abs(pose.rotation_deg) < SAME_ANGLE and not pose.flipped and abs(scale - 1) < SAME_SCALE
