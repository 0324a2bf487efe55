"""Record mode: the whole record goes into the picture, in several marks, and is read back before it counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from payload import Record, RecordTooLongError, hash_rgb
from wam.networks.strength import Amount
from wam.pictures.samples import Picture
from wam.pipeline.loaded import FINE, Loaded, encode, finer, is_coarse
from wam.pipeline.marked import MarkedFile, RecordMarks, SelfCheckError, label_for, marked_file, record_name
from wam.pipeline.marking import Request, draw_apart, mark_one
from wam.pipeline.options import MarkOptions, require_mode
from wam.pipeline.record_marks import (
    FoundRecord,
    RecordPlan,
    embed_record,
    embed_records,
    find_records,
    plan_record,
)
from wam.stages import tell
from wam.watermarker import Marked, Watermarker


def mark_record(
    marker: Watermarker, loaded: Loaded, *, record: Record, options: MarkOptions | None = None
) -> MarkedFile:
    """Marks one picture with a whole record, sealed with the secret that ``marker`` was loaded with, if any.

    Raises ``ImageError``, ``SelfCheckError`` for a record that does not read back, and ``RecordTooLongError``.
    """
    return mark_one(marker, RecordMarking(options or MarkOptions("record")), Request(loaded, record))


@dataclass(frozen=True)
class RecordMarking:
    """The ``Marking`` of record mode."""

    options: MarkOptions = field(default_factory=lambda: MarkOptions("record"))

    def __post_init__(self) -> None:
        require_mode("record", self.options)

    def plan(self, marker: Watermarker, request: Request) -> RecordPlan:
        """The words of all marks."""
        pixels, key = request.loaded.picture.pixels, marker.keys[0]
        size = (int(pixels.shape[0]), int(pixels.shape[1]))
        phash = None if key is None else hash_rgb(pixels)
        try:
            return plan_record(marker, size, request.record, key=key, encrypt=self.options.encrypt, phash=phash)
        except RecordTooLongError as error:
            raise RecordTooLongError(f"{request.loaded.picture.name}: {error}") from error

    def draw(
        self, marker: Watermarker, requests: Sequence[Request], plans: Sequence[RecordPlan], *, strength: Amount
    ) -> list[NDArray[np.uint8]]:
        """Marked pixels of each picture; pictures that come to one working size go through the embedder together."""

        def of_frame(place: int, pixels: NDArray[np.uint8]) -> Marked:
            return embed_record(marker, pixels, plan=plans[place], strength=strength)

        def of_stills(places: Sequence[int]) -> list[NDArray[np.uint8]]:
            pixels = [requests[place].loaded.picture.pixels for place in places]
            return embed_records(marker, pixels, [plans[place] for place in places], strength=strength)

        return draw_apart(requests, of_frame, of_stills)

    def finish(self, marker: Watermarker, request: Request, plan: RecordPlan, pixels: NDArray[np.uint8]) -> MarkedFile:
        """Encodes and reads back."""
        tell("saving and reading back")
        loaded, record = request.loaded, request.record
        label = label_for(loaded, self.options, record, name=record_name(record), message=plan.messages[0])
        content, saved, lost = encode(loaded, pixels, label=label, quality=self.options.quality)
        fine = finer(loaded, self.options)
        try:
            reading = self_check(marker, plan, saved, loaded, quality=self.options.quality).reading
        except SelfCheckError:
            if fine is None:
                raise
            content, saved, lost = encode(loaded, pixels, label=label, quality=fine)
            reading = self_check(marker, plan, saved, loaded, quality=fine).reading
        return marked_file(
            loaded, content, saved,
            record=record, words=plan.words, model=marker.name, options=self.options, lost=lost,
            marks=RecordMarks(reading.read, reading.needed or 0),
        )  # fmt: skip


def self_check(
    marker: Watermarker, plan: RecordPlan, saved: Picture, loaded: Loaded, *, quality: int | None = None
) -> FoundRecord:
    """What a reader with the same key finds; raises ``SelfCheckError`` unless it is the record, as sure as can be."""
    key, phash = marker.keys[0], hash_rgb(saved.pixels)
    detections = marker.detect(saved.pixels, max_log10_p=marker.model.description.faint)
    found, _ = find_records(detections, keys=(key,), phash=phash)
    best_status = "unverified" if key is None else "verified"
    for one in found:
        if one.reading.words == plan.words and one.status == best_status:
            return one
    read = max((one.reading.read for one in found), default=0)
    coarse = is_coarse(loaded, quality)
    raise SelfCheckError.about(
        loaded.picture.name,
        expected="the self-check to read the record back",
        found=f"{read} of its {len(plan.words)} marks (the picture may be too flat, or already marked)"
        + (f", in a {loaded.format} saved coarsely" if coarse else ""),
        remedy=f"use --quality {FINE} or higher; nothing was written"
        if coarse
        else "use the unmarked original, a larger copy, or --strength strong; nothing was written",
    )
