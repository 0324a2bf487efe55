"""Record mode on pictures: a whole record in the pixels, split over marks side by side, and read back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from payload import (
    Record,
    RecordReading,
    bits_from_word,
    derive_subkeys,
    marks_needed,
    read_records,
    seal_frame,
    shorten,
    split_frame,
)
from payload.layout import MOST_MARKS
from payload.records.frame import too_long
from payload.sketch import Binding
from wam.errors import ModelError
from wam.models.protocol import ManyMarks
from wam.networks.strength import Amount, checked, keywords
from wam.pipeline.transplant import record_binding, record_scale
from wam.region import Region, outline
from wam.signal.filters import to_pixels
from wam.signal.mark_grid import divide
from wam.watermarker import AnyImage, Detection, Marked, Watermarker, marked_like, resize_mask, to_bits


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

    ``reading`` what its marks say; ``detections`` the marks; ``region`` of all of them together. ``binding``: whether
    it lies on the picture that it names, as far as that can be checked, None where no record was read.
    """

    reading: RecordReading
    detections: tuple[Detection, ...]
    region: Region
    coarse_mask: NDArray[np.bool_]
    binding: Binding | None

    @property
    def transplanted(self) -> bool:
        """Whether the record names another picture: it was copied, and is ``unverified`` at most."""
        return self.binding == "other"

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
    def negative(self) -> bool:
        """Whether the clearest of its marks was read with light and dark exchanged."""
        return self.detections[0].pose.negative

    @property
    def log10_p(self) -> float:
        """Chance that random words make such a result."""
        return self.reading.log10_p

    @property
    def mask(self) -> NDArray[np.bool_]:
        """(H, W) bool at the picture's own size."""
        return resize_mask(self.coarse_mask, self.detections[0].size)

    @property
    def scale(self) -> float:
        """Scale relative to how a whole picture of this size is marked with the same record."""
        return record_scale(self.reading, self.detections[0])


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


def embed_record(marker: Watermarker, image: AnyImage, plan: RecordPlan, *, strength: Amount = None) -> Marked:
    """Marks one picture with a planned record; ``strength`` as in ``Watermarker.embed``."""
    batch = marker.batch_of(image)
    if len(batch) != 1:
        raise ValueError(f"image: expected one picture, found a batch of {len(batch)}; call once for each")
    (marked,) = _mark_cells(marker, [batch[0]], [plan], strength)
    return marked_like(marked[None], batch, image)


def embed_records(
    marker: Watermarker, pictures: Sequence[NDArray[np.uint8]], plans: Sequence[RecordPlan], *, strength: Amount
) -> list[NDArray[np.uint8]]:
    """Marks (H, W, 3) uint8 arrays of any sizes with a planned record each, just as ``embed_record`` one by one."""
    if not pictures:
        return []
    return [
        to_pixels(image)
        for image in _mark_cells(marker, [marker.batch_of(one)[0] for one in pictures], plans, strength)
    ]


def _mark_cells(
    marker: Watermarker, images: Sequence[Tensor], plans: Sequence[RecordPlan], strength: Amount
) -> list[Tensor]:
    """Marked pictures (3, H, W) on the CPU, not rounded."""
    assert isinstance(marker.model, ManyMarks)
    bits = [torch.cat([to_bits(message, 1) for message in plan.messages]).to(marker.device) for plan in plans]
    cells = [
        divide(int(image.shape[-2]), int(image.shape[-1]), len(plan.words))
        for image, plan in zip(images, plans, strict=True)
    ]
    with torch.inference_mode():
        given = [image.to(marker.device) for image in images]
        return [one.cpu() for one in marker.model.mark_cells_each(given, bits, cells, **keywords(checked(strength)))]


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
    return FoundRecord(reading, tuple(marks), region, mask, record_binding(reading, marks, phash))


def union(detections: Sequence[Detection]) -> NDArray[np.bool_]:
    """(h, w) bool at the finest of the masks' resolutions: where any of them is."""
    shape = max((detection.coarse_mask.shape for detection in detections), key=lambda shape: shape[0] * shape[1])
    total = np.zeros(shape, dtype=bool)
    for detection in detections:
        total |= resize_mask(detection.coarse_mask, shape)
    return total
