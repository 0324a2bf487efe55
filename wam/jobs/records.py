"""Marking files in record mode: no registry, the record goes into the picture and is read back before it is kept."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from payload import Record, RecordTooLongError, hash_rgb
from wam.images import Picture
from wam.jobs.ledger import failed_object
from wam.jobs.marking import Loaded, SelfCheckError, Written, describe, encode, load
from wam.jobs.plan import Item
from wam.jobs.storage import Location, write_content
from wam.marker import Watermarker
from wam.recordmode import FoundRecord, RecordPlan, embed_record, find_records, plan_record


@dataclass(frozen=True)
class RecordJob:
    """What to do with each file. ``marker`` was loaded with ``key``; ``strength`` PSNR in dB, None for its own."""

    marker: Watermarker
    key: bytes | None = None
    encrypt: bool = False
    strength: float | None = None


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


def embed_record_file(job: RecordJob, source: Location, target: Location, record: Record) -> RecordResult:
    """Marks one file with a whole record; raises ``ImageError``, ``RecordTooLongError`` before anything is marked."""
    loaded = load(source, target)
    pixels = loaded.picture.pixels
    size = (int(pixels.shape[0]), int(pixels.shape[1]))
    phash = None if job.key is None else hash_rgb(pixels)
    try:
        plan = plan_record(job.marker, size, record, key=job.key, encrypt=job.encrypt, phash=phash)
    except RecordTooLongError as error:
        raise RecordTooLongError(f"{loaded.picture.name}: {error}") from error
    marked = embed_record(job.marker, pixels, plan, strength=job.strength).image
    assert isinstance(marked, np.ndarray)
    content, saved, lost = encode(job.marker, loaded, marked)
    found = check(job, plan, saved, loaded)
    write_content(target, content, make_folders=True)
    written = describe(loaded, content, saved, lost)
    return RecordResult(
        image=os.fspath(source),
        output=os.fspath(target),
        plan=plan,
        read=found.reading.read,
        needed=found.reading.needed or 0,
        model=job.marker.name,
        written=written,
    )


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


def failed_record(item: Item, model: str, error: BaseException, message: str) -> dict[str, Any]:
    """The contract's object for an image that could not be marked."""
    return {**failed_object(item, model, error, message), "mode": "record", "marks": None}
