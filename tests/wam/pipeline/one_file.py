"""One file through the engine of one machine, with what goes wrong raised."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from payload import Record
from payload.registry import Registry
from wam.jobs.engines.local import detect_locally, embed_locally
from wam.jobs.id_allocation import Ledger
from wam.jobs.outcome import DetectOutcome
from wam.jobs.plan import Item, Source
from wam.pipeline.mark_link import EmbedResult
from wam.pipeline.options import Settings
from wam.pipeline.read import Reading
from wam.watermarker import Watermarker


@dataclass(frozen=True)
class EmbedJob:
    """What to mark with, and where the ids come from."""

    marker: Watermarker
    registry: Registry
    strength: float | None
    frames: bool = False
    label: bool = False


def embed_file(job: EmbedJob, source: Path, target: Path, record: Record) -> EmbedResult:
    """Marks one file with a new id."""
    settings = Settings("link", job.strength, job.label, job.frames)
    ledger = Ledger(job.registry, job.marker.name, settings=settings)
    item = Item(Source(source, source.name), target, record)
    (outcome,) = embed_locally(job.marker, ledger, [item], workers=1)
    if outcome.error is not None:
        raise outcome.error
    assert isinstance(outcome.result, EmbedResult)
    return outcome.result


def detect_file(marker: Watermarker, source: Path, registry: Registry | None) -> tuple[DetectOutcome, list[Reading]]:
    """Every watermark of one file, with its record where the registry has one; none of them a whole record."""
    (outcome,) = detect_locally(marker, registry, [Source(source, source.name)], workers=1)
    if outcome.error is not None:
        raise outcome.error
    assert all(isinstance(reading, Reading) for reading in outcome.readings)
    return outcome, [reading for reading in outcome.readings if isinstance(reading, Reading)]
