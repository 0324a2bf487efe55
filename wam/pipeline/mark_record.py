"""Marking files in record mode: no registry, the record goes into the picture and is read back before it is kept."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from payload import Record, RecordTooLongError, hash_rgb
from wam.pictures.files import Picture
from wam.pictures.storage import Location
from wam.pipeline.frames import each_frame
from wam.pipeline.loaded import Loaded, Written, describe, encode, label_for, load, record_name, write
from wam.pipeline.mark_link import SelfCheckError
from wam.pipeline.options import Settings
from wam.pipeline.record_marks import FoundRecord, RecordPlan, embed_record, find_records, plan_record
from wam.watermarker import Watermarker


@dataclass(frozen=True)
class RecordJob:
    """What to do with each file, with the secret that ``marker`` was loaded with, if any."""

    marker: Watermarker
    settings: Settings

    @property
    def key(self) -> bytes | None:
        """The secret that records are sealed with."""
        return self.marker.keys[0]


@dataclass(frozen=True)
class RecordResult:
    """One marked file, ready for the contract's JSON. ``read``: marks that the self-check found again."""

    image: str
    output: str
    plan: RecordPlan
    read: int
    needed: int
    model: str
    written: Written

    @property
    def shown(self) -> str:
        """What was put in, for people."""
        return f"record in {len(self.plan.words)} marks, {self.read} read back, {self.needed} needed"

    def to_dict(self) -> dict[str, Any]:
        """The contract's object for one image."""
        content = {
            "mode": "record",
            "record": self.plan.record.to_dict(),
            "link": None,
            "messages": self.plan.messages,
        }
        marks = {"read": self.read, "needed": self.needed, "embedded": len(self.plan.words)}
        return {**self.written.to_dict(self.image, self.output, content, self.model), "marks": marks}


def load_for_record(settings: Settings, source: Location, target: Location, record: Record) -> Loaded:
    """Reads a picture that is to be marked; see ``files.load``."""
    owner = record.owner if settings.label else None
    return load(source, target, frames=settings.frames, label=owner, quality=settings.quality)


def finish_record(job: RecordJob, loaded: Loaded, record: Record) -> RecordResult:
    """Marks, reads back and writes a loaded picture, all frames of an animation alike; raises ``ImageError``, and
    ``RecordTooLongError`` before anything is marked, with nothing written."""
    pixels = loaded.picture.pixels
    size = (int(pixels.shape[0]), int(pixels.shape[1]))
    phash = None if job.key is None else hash_rgb(pixels)
    try:
        plan = plan_record(job.marker, size, record, key=job.key, encrypt=job.settings.encrypt, phash=phash)
    except RecordTooLongError as error:
        raise RecordTooLongError(f"{loaded.picture.name}: {error}") from error
    label = label_for(loaded, record_name(record), plan.messages[0])
    content, saved, lost = encode(loaded, _mark(job, loaded, plan), label)
    found = check(job, plan, saved, loaded)
    replaced = write(loaded, content, make_folders=True)
    return RecordResult(
        image=os.fspath(loaded.source),
        output=os.fspath(loaded.target),
        plan=plan,
        read=found.reading.read,
        needed=found.reading.needed or 0,
        model=job.marker.name,
        written=replace(describe(loaded, content, saved, lost), replaced=replaced),
    )


def _mark(job: RecordJob, loaded: Loaded, plan: RecordPlan) -> NDArray[np.uint8]:
    """Marked pixels, (H, W, 3) uint8, with the frames of an animation in front."""
    if loaded.animation is None:
        return np.asarray(embed_record(job.marker, loaded.picture.pixels, plan, strength=job.settings.strength).image)
    return each_frame(loaded.animation, partial(embed_record, job.marker, plan=plan, strength=job.settings.strength))


def check(job: RecordJob, plan: RecordPlan, saved: Picture, loaded: Loaded) -> FoundRecord:
    """What a reader with the same key finds; raises ``SelfCheckError`` unless it is the record, as sure as can be."""
    detections = job.marker.detect(saved.pixels, max_log10_p=job.marker.model.description.faint)
    found, _ = find_records(detections, keys=(job.key,), phash=hash_rgb(saved.pixels))
    best_status = "unverified" if job.key is None else "verified"
    for one in found:
        if one.reading.words == plan.words and one.status == best_status:
            return one
    read = max((one.reading.read for one in found), default=0)
    raise SelfCheckError.about(
        loaded.source,
        expected="the self-check to read the record back",
        found=f"{read} of its {len(plan.words)} marks (the picture may be too flat, or already marked)",
        remedy="use the unmarked original, a larger copy, or a lower --strength in dB; nothing was written",
    )
