"""Who had a picture: the record of each mark that was found, and what else was marked of the same asset."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from typing_extensions import TypedDict

from payload.registry import Registry
from payload.registry.entry import Entry
from wam.pipeline.chance import in_figures, show_chance
from wam.pipeline.contract import WatermarkObject, watermark_object
from wam.pipeline.contract_records import RecordObject, record_object
from wam.pipeline.read import AnyReading, Findings, Reading

MOST = 20  # marks of one asset that are told of, unless more are asked for
LEAST_NAME = -6.0  # log10 of the smallest chance of a name that is said in figures


@dataclass(frozen=True)
class OtherMark:
    """Another mark of the asset: its entry, and the name of the registry that has it."""

    registry: str
    entry: Entry


@dataclass(frozen=True)
class Trace:
    """One mark; ``others`` of its asset and owner, the newest first, as far as they were asked for, of ``count`` in
    all."""

    reading: AnyReading
    others: tuple[OtherMark, ...] = ()
    count: int = 0


class OtherMarkObject(TypedDict):
    """One other mark of the asset, in JSON."""

    link: str
    state: str
    record: RecordObject
    registry: str


class TraceObject(TypedDict):
    """What is said of one mark, in JSON: ``watermark`` as ``detect`` has it, and what its chances and its binding mean,
    in words."""

    watermark: WatermarkObject
    chance: str
    name_chance: str | None
    binding: str | None
    others: list[OtherMarkObject]
    others_in_all: int


def trace(findings: Findings, registries: Sequence[Registry], *, most: int = MOST) -> tuple[Trace, ...]:
    """Every mark of a picture in reading order; those without a record have no asset that others could be of."""
    return tuple(_traced(reading, registries, most) for reading in findings.readings)


def _has(registry: Registry, own: Entry | None) -> bool:
    found = None if own is None else registry.find(own.word, generation=own.generation)
    return found is not None and _same(found, own)


def _traced(reading: AnyReading, registries: Sequence[Registry], most: int) -> Trace:
    record = reading.record
    if record is None:
        return Trace(reading)
    own = reading.entry if isinstance(reading, Reading) else None
    others: list[OtherMark] = []
    count = 0
    for registry in registries:
        found, known = registry.of_asset(record.asset, record.owner, most=most + 1)  # one of them may be its own
        others += [OtherMark(registry.name, entry) for entry in found if not _same(entry, own)]
        count += known - _has(registry, own)
    others.sort(key=lambda one: (one.entry.record.ingested_at, one.entry.serial), reverse=True)
    return Trace(reading, tuple(others[:most]), count)


def _same(entry: Entry, own: Entry | None) -> bool:
    """Whether an entry is that of the mark itself, in its registry or a copy of it."""
    return own is not None and (entry.serial, entry.word, entry.record) == (own.serial, own.word, own.record)


def trace_object(found: Trace) -> TraceObject:
    """The object for one mark."""
    said = watermark_object(found.reading)
    name = said["name_log10_p"]
    return {
        "watermark": said,
        "chance": show_chance(said["log10_p"]),
        "name_chance": None if name is None else show_name_chance(name),
        "binding": said["binding"] and BINDINGS[said["binding"]],
        "others": [*_other_objects(found.others)],
        "others_in_all": found.count,
    }


def _other_objects(others: Iterable[OtherMark]) -> Iterable[OtherMarkObject]:
    for one in others:
        entry = one.entry
        yield {
            "link": entry.link,
            "state": entry.state,
            "record": record_object(entry.record),
            "registry": one.registry,
        }


BINDINGS: dict[Literal["own", "other", "unbound"], str] = {
    "own": "on the picture that was marked, or a part of it",
    "other": "on another picture than the one that was marked: it may have been copied there",
    "unbound": "whether it is on the picture that was marked cannot be checked",
}


def show_name_chance(log10_p: float) -> str:
    """The chance that a mark of another registry gets a name here, as people are told it.

    >>> show_name_chance(-2.3), show_name_chance(-31.0)
    ('5e-3, reckoned', '< 1e-6, reckoned')
    """
    return f"{in_figures(log10_p) if log10_p >= LEAST_NAME else '< 1e-6'}, reckoned"
