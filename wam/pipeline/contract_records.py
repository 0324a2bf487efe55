"""The part of the JSON that says records: behind marks, and of registered pictures that look alike."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

from typing_extensions import TypedDict  # see contract

from payload.records.record import Record, format_time
from payload.sketch import Binding

if TYPE_CHECKING:
    from wam.pipeline.look_up import Candidate
    from wam.pipeline.similar import Similar


class RecordObject(TypedDict):
    """What a mark stands for."""

    asset: str
    owner: str
    user: str | None
    ingested_at: Annotated[str, "RFC 3339, UTC, to the second"]


class LookalikeObject(TypedDict):
    """A registered picture that looks alike, which is no proof that it is the same."""

    link: Annotated[str, "the short link of its record"]
    record: Annotated[RecordObject, "asset, owner, user and time"]
    distance: Annotated[int, "bits of 256 in which the fingerprints differ, 0 to 30; different pictures about 128"]
    turned: Annotated[
        str, "how this picture lies to it, such as ``mirrored left to right``; empty where they lie alike"
    ]
    registry: Annotated[str, "that it is in"]


class SimilarObject(TypedDict):
    """The registered pictures that look most alike, by fingerprint, whatever marks there are."""

    pictures: Annotated[list[LookalikeObject], "the nearest first; an empty list where none is near"]
    among: Annotated[
        int, "fingerprints of marked pictures that it was compared with, in all registries that were asked"
    ]
    false_match: Annotated[
        float,
        "chance that an unrelated picture has one listed among so many: what was tested bears out no more than this",
    ]
    reason: Annotated[str | None, "why none was looked for: the picture shows too little; null where it was"]


class CandidateObject(TypedDict):
    """A record that a mark could be of, which its word alone does not say: marks of other registries have it too."""

    link: Annotated[str, "the short link of its record"]
    record: Annotated[RecordObject, "asset, owner, user and time"]
    binding: Annotated[Binding, "to the picture that was marked, as of a watermark"]
    name_log10_p: Annotated[
        float, "log10 of the chance that a mark of another registry comes as near to this name, above -2"
    ]
    registry: Annotated[str, "that it is in"]


def record_object(record: Record) -> RecordObject:
    """The object for a record."""
    return {
        "asset": record.asset,
        "owner": record.owner,
        "user": record.user,
        "ingested_at": format_time(record.ingested_at),
    }


def similar_object(similar: Similar) -> SimilarObject:
    """The object for pictures that look alike."""
    return {
        "pictures": [
            {
                "link": one.entry.link,
                "record": record_object(one.entry.record),
                "distance": one.distance,
                "turned": one.turned,
                "registry": one.registry,
            }
            for one in similar.pictures
        ],
        "among": similar.among,
        "false_match": float(f"{similar.false_match:.2g}"),
        "reason": similar.reason,
    }


def candidate_object(one: Candidate) -> CandidateObject:
    """The object for a record that a mark could be of."""
    return {
        "link": one.entry.link,
        "record": record_object(one.entry.record),
        "binding": one.binding,
        "name_log10_p": math.ceil(one.name_log10_p * 100) / 100,  # never as small as what is named
        "registry": one.registry,
    }
