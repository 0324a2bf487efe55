"""What a manifest says of a marked picture, as the C2PA library takes it, with places kept for what JSON cannot say.

The library makes CBOR of JSON, which has no byte strings, and writes texts or lists of numbers where the specification
wants them (contentauth/c2pa-rs, issue 2689). A text of as many ASCII characters is as long in CBOR as the byte string
that belongs there, and differs in the three bits that tell their kinds apart: such texts stand here, and ``signing``
puts the bytes in their place.
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from wam.region import Region

SOFT_BINDING, ACTIONS = "c2pa.soft-binding", "c2pa.actions.v2"
HASH_PLACE = "#" * 32  # where the SHA-256 of the soft-binding assertion goes
SOURCE = "source"  # what actions call the ingredient
_TRAINING = ("cawg.ai_inference", "cawg.ai_generative_training", "cawg.ai_training", "cawg.data_mining")
_DESCRIPTION = "Invisible watermark that carries a 32-bit identifier"


@dataclass(frozen=True)
class Mark:
    """One mark as a soft binding: its ``value``, and its outlines as percent of the picture's width and height."""

    value: bytes
    polygons: tuple[tuple[tuple[float, float], ...], ...]


@dataclass(frozen=True)
class Statement:
    """What a manifest says. ``algorithm`` of the ``marks``; ``format`` as MIME type; ``source_type`` None: not stated;
    ``has_source``: an ingredient is what was marked."""

    algorithm: str
    marks: tuple[Mark, ...]
    format: str
    title: str
    version: str
    source_type: str | None = None
    has_source: bool = False
    ai_model: str | None = None
    training: bool | None = None

    def to_json(self) -> dict[str, Any]:
        """For another process; values of marks in hexadecimal."""
        return {**asdict(self), "marks": [[mark.value.hex(), mark.polygons] for mark in self.marks]}

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Statement:
        """The same back."""
        marks = tuple(
            Mark(bytes.fromhex(value), tuple(tuple((float(x), float(y)) for x, y in one) for one in polygons))
            for value, polygons in said["marks"]
        )
        return cls(**{**said, "marks": marks})


@dataclass(frozen=True)
class Declared:
    """What a signer says of the pictures beside what is in them: ``source_type`` as a URI, ``ai_model`` and
    ``training`` as in a ``Statement``; None for what is not stated."""

    source_type: str | None = None
    ai_model: str | None = None
    training: bool | None = None


@dataclass(frozen=True)
class Definition:
    """A statement for the library, and which texts in it stand for which bytes."""

    json: dict[str, Any]
    places: tuple[tuple[str, bytes], ...]


def mark_of(value: bytes, region: Region, width: int, height: int) -> Mark:
    """A mark with the outlines of its region; the whole of its box where it has none.

    >>> mark_of(b"abcd", Region((0, 0, 50, 100), .5, ()), 100, 100).polygons
    (((0.0, 0.0), (50.0, 0.0), (50.0, 100.0), (0.0, 100.0)),)
    """
    left, top, across, down = region.bbox
    box = ((left, top), (left + across, top), (left + across, top + down), (left, top + down))
    outlines = [polygon for polygon in region.polygons if len(polygon) > 2] or [box]
    return Mark(
        value,
        tuple(tuple((round(100 * x / width, 3), round(100 * y / height, 3)) for x, y in one) for one in outlines),
    )


def define(statement: Statement) -> Definition:
    """The definition of a manifest; texts that stand for bytes are random, so that they are found only where they are
    meant."""
    places = [(_placeholder(len(mark.value)), mark.value) for mark in statement.marks]
    blocks = [
        {"scope": {"region": {"region": [_range(one) for one in mark.polygons]}}, "value": text}
        for mark, (text, _) in zip(statement.marks, places, strict=True)
    ]
    binding = {
        "alg": statement.algorithm,
        "blocks": blocks,
        "pad": "",
        "bindingMetadata": {"description": _DESCRIPTION},
    }
    assertions: list[dict[str, Any]] = [
        _assertion(SOFT_BINDING, binding),
        _assertion(ACTIONS, {"actions": _actions(statement)}),
    ]
    if statement.ai_model is not None:
        disclosure = {"modelType": "c2pa.types.model", "modelName": statement.ai_model}
        assertions.append(_assertion("c2pa.ai-disclosure", disclosure))
    if statement.training is not None:
        use = {"use": "allowed" if statement.training else "notAllowed"}
        assertions.append(_assertion("cawg.training-mining", {"entries": {name: use for name in _TRAINING}}))
    values = {
        "claim_version": 2,
        "claim_generator_info": [{"name": "wam", "version": statement.version}],
        "title": statement.title,
        "format": statement.format,
        "assertions": assertions,
    }
    return Definition(values, tuple(places))


def _assertion(label: str, data: dict[str, Any]) -> dict[str, Any]:
    return {"label": label, "data": data, "created": True}


def _actions(statement: Statement) -> list[dict[str, Any]]:
    """How the picture came to be, then that it was marked."""
    first: dict[str, Any] = {"action": "c2pa.opened" if statement.has_source else "c2pa.created"}
    if statement.source_type is not None:
        first["digitalSourceType"] = statement.source_type
    if statement.has_source:
        first["parameters"] = {"ingredientIds": [SOURCE]}
    related = [{"url": f"self#jumbf=c2pa.assertions/{SOFT_BINDING}", "alg": "sha256", "hash": HASH_PLACE}]
    return [first, {"action": "c2pa.watermarked.bound", "parameters": {"relatedAssertions": related}}]


def _range(polygon: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """A range of a region map: a polygon is its origin and the vertices after it."""
    (first, *others) = [{"x": x, "y": y} for x, y in polygon]
    shape = {"type": "polygon", "unit": "percent", "origin": first, "vertices": others}
    return {"type": "spatial", "shape": shape}


def _placeholder(size: int) -> str:
    return "".join(secrets.choice(string.ascii_letters) for _ in range(size))
