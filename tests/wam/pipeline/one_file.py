"""One file through the engine of one machine, with what goes wrong raised."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from payload import Record
from payload.registry import Registry
from wam.jobs.engines.local import detect_locally, embed_locally
from wam.jobs.journal import Journal
from wam.jobs.link_mode import LinkMode
from wam.jobs.outcome import EmbedResult
from wam.jobs.plan import Item, Source
from wam.pipeline.options import MarkOptions
from wam.pipeline.read import Findings, Reading
from wam.watermarker import Watermarker


@dataclass(frozen=True)
class EmbedJob:
    """What to mark with, and where the ids come from."""

    marker: Watermarker
    registry: Registry
    strength: float | None
    frames: bool = False
    label: bool = False
    new_link: bool = False


def embed_file(job: EmbedJob, source: Path, target: Path, record: Record) -> EmbedResult:
    """Marks one file, with a new id where it was not marked for this record before."""
    options = MarkOptions("link", job.strength, job.label, job.frames)
    mode = LinkMode(job.registry, Journal(job.marker.name, options=options), new_link=job.new_link)
    item = Item(Source(source, source.name), target, record)
    (outcome,) = embed_locally(job.marker, mode, [item], workers=1)
    if outcome.error is not None:
        raise outcome.error
    assert outcome.result is not None
    return outcome.result


def detect_file(marker: Watermarker, source: Path, registry: Registry | None) -> tuple[Findings, list[Reading]]:
    """Every watermark of one file, with its record where the registry has one; none of them a whole record."""
    (outcome,) = detect_locally(marker, registry, [Source(source, source.name)], workers=1)
    if outcome.error is not None:
        raise outcome.error
    assert outcome.findings is not None
    assert all(isinstance(reading, Reading) for reading in outcome.readings)
    return outcome.findings, [reading for reading in outcome.readings if isinstance(reading, Reading)]
