"""Record mode on pictures: a whole record in the pixels, split over marks side by side, and read back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from payload import (
    Record,
    RecordReading,
    bits_from_word,
    derive_subkeys,
    distance,
    distance_to,
    marks_needed,
    read_records,
    seal_frame,
    shorten,
    split_frame,
)
from payload.layout import MOST_MARKS
from payload.records.frame import too_long
from wam.errors import ModelError
from wam.models.protocol import ManyMarks
from wam.region import Region, outline
from wam.signal.mark_grid import WORKING_SIDES, divide, working_side
from wam.watermarker import AnyImage, Detection, Marked, Watermarker, marked_like, resize_mask, to_batch, to_bits

TRANSPLANT_DISTANCE = 9  # bits of 32: a marked picture and its copies lie below 5, other pictures around 16
SAME_SCALE = 0.03  # of marks in a picture that was not cut: larger differences mean that it cannot be compared
SAME_PLACE = 0.05  # of the short side: the same for where the marks lie


@dataclass(frozen=True)
class RecordPlan:
    """What goes into a picture: ``words`` one 32-bit word for each mark; ``bound``: it holds a hash of the picture."""

    record: Record
    words: tuple[int, ...]
    bound: bool

    @property
    def messages(self) -> list[str]:
        """The words as 32 characters each."""
        return [bits_from_word(word) for word in self.words]


@dataclass(frozen=True, eq=False)
class FoundRecord:
    """One record of a picture, or what is left of it, and where it is.

    ``reading`` what its marks say; ``detections`` the marks; ``region`` of all of them together. ``transplanted``: the
    record names another picture, so it was copied; its status is ``unverified`` then at most.
    """

    reading: RecordReading
    detections: tuple[Detection, ...]
    region: Region
    coarse_mask: NDArray[np.bool_]
    transplanted: bool

    @property
    def status(self) -> str:
        """As in the command-line contract."""
        return "unverified" if self.transplanted and self.reading.record else self.reading.status

    @property
    def record(self) -> Record | None:
        """What the marks stand for, None where it could not be read."""
        return self.reading.record

    @property
    def link(self) -> str | None:
        """Records have none."""
        return None

    @property
    def message(self) -> str | None:
        """None: a record has several words."""
        return None

    @property
    def log10_p(self) -> float:
        """Chance that random words make such a result."""
        return self.reading.log10_p

    @property
    def mask(self) -> NDArray[np.bool_]:
        """(H, W) bool at the picture's own size."""
        return resize_mask(self.coarse_mask, self.detections[0].size)

    def to_dict(self) -> dict[str, Any]:
        """The contract's object for one watermark; what only single words have is null."""
        reading, pose = self.reading, self.detections[0].pose
        return {
            "status": self.status,
            "mode": "record",
            "link": None,
            "record": reading.record.to_dict() if reading.record else None,
            "marks": {"read": reading.read, "needed": reading.needed, "embedded": reading.embedded},
            "protection": reading.protection,
            "problem": reading.problem,
            "message": None,
            "bits": None,
            "bit_confidence": None,
            "corrected": None,
            "log10_p": round(reading.log10_p, 2),
            "mask_score": round(float(np.mean([one.mask_score for one in self.detections])), 4),
            "region": {
                "bbox": list(self.region.bbox),
                "area": round(self.region.area, 4),
                "polygons": [[list(point) for point in polygon] for polygon in self.region.polygons],
            },
            "pose": {
                "scale": round(_scale(reading, self.detections[0]), 3),
                "rotation_deg": pose.rotation_deg,
                "flipped": pose.flipped,
            },
            "transplanted": self.transplanted,
        }


def plan_record(
    marker: Watermarker,
    size: tuple[int, int],
    record: Record,
    *,
    key: bytes | None = None,
    encrypt: bool = False,
    phash: int | None = None,
) -> RecordPlan:
    """The marks of a record for a picture of ``size`` (height, width), before anything is marked.

    With a ``key`` the record is bound to the picture by ``phash``, its 64-bit hash, if there is room. Raises
    ``RecordTooLongError`` with what would fit, and ``ModelError`` for a model that has no room for several marks.
    """
    model = marker.model
    if not isinstance(model, ManyMarks):
        raise ModelError(
            f"{marker.name}: expected a model that tells many marks side by side apart, found one that does not; "
            "use --model lattice32, or --mode link"
        )
    room = min(model.room(*size), MOST_MARKS)
    if marks_needed(record) > room:
        raise too_long(record, room=room)
    bound = key is not None and phash is not None and marks_needed(record, hashed=True) <= room
    frame = seal_frame(
        record,
        subkeys=None if key is None else derive_subkeys(key),
        encrypt=encrypt,
        phash=shorten(phash) if bound and phash is not None else None,
    )
    return RecordPlan(record, tuple(mark.word for mark in split_frame(frame)), bound)


def embed_record(marker: Watermarker, image: AnyImage, plan: RecordPlan, *, strength: float | None = None) -> Marked:
    """Marks one picture with a planned record; ``strength`` as in ``Watermarker.embed``."""
    batch = to_batch(image)
    if len(batch) != 1:
        raise ValueError(f"image: expected one picture, found a batch of {len(batch)}; call once for each")
    assert isinstance(marker.model, ManyMarks)
    bits = torch.cat([to_bits(message, 1) for message in plan.messages]).to(marker.device)
    cells = divide(int(batch.shape[-2]), int(batch.shape[-1]), len(plan.words))
    with torch.inference_mode():
        marked = marker.model.mark_cells(batch.to(marker.device), bits, cells, psnr_db=strength).cpu()
    return marked_like(marked, batch, image)


def find_records(
    detections: Sequence[Detection], *, keys: Sequence[bytes | None] = (None,), phash: int | None = None
) -> tuple[list[FoundRecord], list[Detection]]:
    """Records among the marks of one picture, and the marks that belong to none.

    ``keys``: the secrets that the marker was loaded with, in that order. ``phash``: the picture's 64-bit hash, which
    records bound to a picture are compared with.
    """
    records: list[FoundRecord] = []
    used: set[int] = set()
    for index, key in enumerate(keys):
        own = [place for place, detection in enumerate(detections) if detection.key == index]
        subkeys = None if key is None else derive_subkeys(key)
        for reading in read_records([detections[place].logits for place in own], subkeys=subkeys):
            members = [own[place] for place in reading.members]
            used.update(members)
            records.append(_found(replace(reading, members=tuple(members)), detections, phash))
    return records, [one for place, one in enumerate(detections) if place not in used]


def _found(reading: RecordReading, detections: Sequence[Detection], phash: int | None) -> FoundRecord:
    marks = sorted((detections[place] for place in reading.members), key=lambda one: -one.score)
    mask = union(marks)
    region = outline(mask, marks[0].size)
    return FoundRecord(reading, tuple(marks), region, mask, _is_transplanted(reading, marks, phash))


def union(detections: Sequence[Detection]) -> NDArray[np.bool_]:
    """(h, w) bool at the finest of the masks' resolutions: where any of them is."""
    shape = max((detection.coarse_mask.shape for detection in detections), key=lambda shape: shape[0] * shape[1])
    total = np.zeros(shape, dtype=bool)
    for detection in detections:
        total |= resize_mask(detection.coarse_mask, shape)
    return total


def _is_transplanted(reading: RecordReading, marks: Sequence[Detection], phash: int | None) -> bool:
    """Whether a record that names its picture is on another one; only whole upright pictures can be compared."""
    if reading.phash is None or phash is None or not _is_whole(reading, marks):
        return False
    return distance(shorten(phash), reading.phash) > TRANSPLANT_DISTANCE


def _is_whole(reading: RecordReading, marks: Sequence[Detection]) -> bool:
    """Whether the marks lie as in a picture that was marked at this size or scaled to it, neither turned nor cut."""
    pose, (height, width) = marks[0].pose, marks[0].size
    if abs(pose.rotation_deg) > 2 or pose.flipped or abs(_scale(reading, marks[0]) - 1) > SAME_SCALE:
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


def _scale(reading: RecordReading, mark: Detection) -> float:
    """Scale of a mark relative to how a whole picture of this size is marked with the same record."""
    if reading.embedded is None:
        return mark.pose.scale
    height, width = mark.size
    return mark.pose.scale * working_side(height, width, reading.embedded) / min(WORKING_SIDES[0], height, width)
