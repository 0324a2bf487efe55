"""Reading files: find the marks of a picture, then judge their words by the registry.

``examine`` knows nothing of the registry, so that any process on any machine may do it; ``judge`` asks it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from payload import Match, Record, distance, format_link, hash_rgb, hashes_before_cut, read_word
from payload.layout import Words
from payload.registry import Registry
from payload.registry.entry import Entry
from wam.models.protocol import SearchSummary
from wam.pictures.files import Picture, require_size
from wam.pipeline.frames import merge
from wam.pipeline.record_marks import FoundRecord, find_records
from wam.provenance.aigc_label import Label, read_label
from wam.region import Region
from wam.signal.mark_grid import SMALLEST_SIDE
from wam.watermarker import Detection, Watermarker

TRANSPLANT_DISTANCE = 22  # bits of 64: hashes of a marked picture and of another lie around 32, of its copies below 12
WHOLE = 0.9  # share of the picture from which a mark's region is compared with the registered hash


@dataclass(frozen=True)
class Reading:
    """One watermark of a file with what the registry says of it; ``transplanted``: on a picture other than its own."""

    detection: Detection
    match: Match
    entry: Entry | None
    transplanted: bool

    @property
    def status(self) -> str:
        """As in the command-line contract."""
        return self.match.status

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

    def to_dict(self) -> dict[str, Any]:
        """The contract's object for one watermark."""
        region, pose = self.detection.region, self.detection.pose
        return {
            "status": self.match.status,
            "mode": "link",
            "link": self.link,
            "record": self.entry.record.to_dict() if self.entry else None,
            "message": self.match.message,
            "bits": self.match.bits,
            "bit_confidence": [round(value, 3) for value in self.match.bit_confidence],
            "corrected": self.match.corrected,
            "log10_p": round(self.match.log10_p, 2),
            "mask_score": self.detection.mask_score,
            "region": {
                "bbox": list(region.bbox),
                "area": round(region.area, 4),
                "polygons": [[list(point) for point in polygon] for polygon in region.polygons],
            },
            "pose": {"scale": round(pose.scale, 3), "rotation_deg": pose.rotation_deg, "flipped": pose.flipped},
            "transplanted": self.transplanted,
        }


AnyReading = Reading | FoundRecord


@dataclass(frozen=True)
class Examined:
    """What a file shows without a registry: its size in pixels, the records in it, the marks that belong to none, faint
    ones too, its 64-bit hash, the label in its metadata, what the search of each frame did, where the model says so,
    and hashes that the picture may have had before it was ``cut``."""

    width: int
    height: int
    detections: tuple[Detection, ...]
    phash: int | None
    present: float
    label: Label | None = None
    records: tuple[FoundRecord, ...] = ()
    searches: tuple[SearchSummary, ...] = ()
    cut: tuple[int, ...] = ()

    @property
    def has_marks(self) -> bool:
        """Whether there is anything whose word could be registered."""
        return bool(self.detections) or any(one.record is None for one in self.records)


def examine(marker: Watermarker, picture: Picture, *more: Picture, thorough: bool = False) -> Examined:
    """Every mark of one picture, however faint; raises ``ImageError`` for one that is too small to be looked at.

    ``more``: further frames of an animation, whose marks are gathered.
    """
    require_size(picture, SMALLEST_SIDE)
    bounds = marker.model.description
    frames = [
        marker.detect_and_explain(one.pixels, thorough=thorough, max_log10_p=bounds.faint) for one in (picture, *more)
    ]
    detections = merge(found for found, _ in frames) if more else frames[0][0]
    searches = tuple(search for _, search in frames if search is not None)
    phash = hash_rgb(picture.pixels) if detections else None
    label = read_label(picture.metadata)
    records, others = find_records(detections, keys=marker.keys, phash=phash)
    cut = hashes_before_cut(picture.pixels) if any(_is_whole(one) for one in others) else ()
    return Examined(
        picture.width, picture.height, tuple(others), phash, bounds.present, label, tuple(records), searches, cut
    )


def judge(examined: Examined, registry: Registry | None, words: Words | None) -> list[AnyReading]:
    """The marks with their records; ``words`` (N,) uint32 are those in use in the registry, None without one.

    What looks like the remains of a record is a link after all where its word is registered.
    """
    found: list[AnyReading] = []
    detections = list(examined.detections)
    for record in examined.records:
        links = [] if record.record else [_look_up(one, examined, words, registry) for one in record.detections]
        if any(link.status == "verified" for link in links):
            detections += record.detections
        else:
            found.append(record)
    readings = [_look_up(detection, examined, words, registry) for detection in detections]
    # a faint mark counts if its word is registered, which the match itself has weighed; any other has to be plain
    found += [r for r in readings if r.status == "verified" or r.detection.log10_p <= examined.present]
    return found


def _look_up(detection: Detection, examined: Examined, words: Words | None, registry: Registry | None) -> Reading:
    match = read_word(detection.logits, words, presence_log10_p=detection.log10_p)
    if registry is None or match.word is None:
        return Reading(detection, match, None, False)
    entry = registry.find(match.word)
    if match.status != "verified":
        withdrawn = entry is not None and entry.state == "withdrawn"
        return Reading(detection, replace(match, status="withdrawn") if withdrawn else match, None, False)
    return Reading(detection, match, entry, entry is not None and _is_transplanted(detection, examined, entry))


def _is_transplanted(detection: Detection, examined: Examined, entry: Entry) -> bool:
    """Whether an upright mark over the whole picture sits on one unlike the registered one, even if that was cut."""
    if examined.phash is None or entry.phash is None or not _is_whole(detection):
        return False
    hashes = (examined.phash, *examined.cut)
    return min(distance(one, entry.phash) for one in hashes) > TRANSPLANT_DISTANCE


def _is_whole(detection: Detection) -> bool:
    """Whether a mark lies over nearly all of the picture, as it was marked."""
    pose = detection.pose
    upright = abs(pose.rotation_deg) < 2 and not pose.flipped and abs(pose.scale - 1) < 0.03 and pose.placed
    return upright and detection.region.area >= WHOLE
