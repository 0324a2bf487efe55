"""The label in a file's metadata that says a picture was generated, and whether it agrees with the watermark.

It stands in the XMP packet: ``TC260:AIGC``, the implicit label of GB 45438-2025 (annex E, written as the guide
TC260-PG-20259A does), and the fields of the IPTC photo metadata standard (see ``iptc_fields``); which of them are
written, ``disclosure`` says. Anyone can write or strip such a label; what it says is worth something only where a
watermark says the same.

| field of the label | what is written                                         |
|--------------------|---------------------------------------------------------|
| Label              | 1, the content is generated                             |
| ContentProducer    | the record's owner                                      |
| ProduceID          | the short link of the watermark                         |
| ReservedCode1      | ``message=`` and the watermark's 32 bits in hexadecimal |

A picture that another producer has labelled keeps that part; owner, link and message go to ContentPropagator,
PropagateID and ReservedCode2 then. A DigitalSourceType, date or identifier that is already stated is kept.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

from PIL import Image

from wam.pictures.containers import xmp
from wam.pictures.formats import Metadata, quiet_pillow
from wam.pictures.metadata import EXIF_PREFIX
from wam.provenance.disclosure import Disclosure
from wam.provenance.iptc_fields import AI_FIELDS, IptcFields, read_fields, stated
from wam.provenance.source_types import GENERATED, GENERATED_KINDS, TAKEN_KINDS, kinds

TC260 = "http://www.tc260.org.cn/ns/AIGC/1.0/"
OURS = "wm:"  # how links, and what stands for them, begin

_NAME = b"AIGC"
_MOST_NESTED = 6  # objects and texts around a label
_COMMENT, _PACKET = 37510, 700  # tags of EXIF
_SPACE = uuid.UUID("2f0c9a0e-6e0b-5d5e-9a57-0f2c8a1b7d34")  # drawn once, for identifiers of this toolkit


@dataclass(frozen=True)
class Label:
    """What a label says; empty strings for what it does not. ``conflicts``: fields of which the places of one file say
    different things."""

    value: str = "1"  # 1: generated, 2: possibly, 3: suspected; empty without an AIGC label
    producer: str = ""
    produce_id: str = ""
    reserved1: str = ""
    propagator: str = ""
    propagate_id: str = ""
    reserved2: str = ""
    source_type: str = ""  # URI of the IPTC digital source type
    ai_system: str = ""
    ai_version: str = ""
    ai_prompt: str = ""
    ai_prompt_writer: str = ""
    provider: str = ""
    created: str = ""
    identifier: str = ""
    conflicts: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The fields for JSON, null for what is not said."""
        said = {field.name: getattr(self, field.name) or None for field in fields(self)}
        return {**said, "conflicts": list(self.conflicts)}

    @property
    def says_generated(self) -> bool:
        """Whether it says, in any of its fields, that a model made the picture or a part of it."""
        return bool(self.value or kinds([self.source_type]) & GENERATED_KINDS or self._names_ai)

    @property
    def says_taken(self) -> bool:
        """Whether its source type says that a camera took the picture or a person made it."""
        return bool(kinds([self.source_type]) & TAKEN_KINDS)

    @property
    def _names_ai(self) -> bool:
        return any(getattr(self, name) for name in AI_FIELDS)


KEYS = {
    "value": "Label",
    "producer": "ContentProducer",
    "produce_id": "ProduceID",
    "reserved1": "ReservedCode1",
    "propagator": "ContentPropagator",
    "propagate_id": "PropagateID",
    "reserved2": "ReservedCode2",
}
"""What the fields are called in the AIGC object."""


def mark_label(
    existing: Label | None,
    *,
    owner: str,
    link: str,
    message: str,
    disclosure: Disclosure | None = None,
    created: str = "",
    digest: str = "",
) -> Label:
    """The label for a picture marked with ``message`` (32 characters 0 and 1), next to what is stated already.

    ``created``: when, for whom it is stated; ``digest`` of the source's content, for an identifier that no other
    picture has.
    """
    wanted, known = disclosure or Disclosure(), existing or Label(value="")
    written = wanted.written
    label = _with_aigc(known, owner, link, message, wanted="aigc" in written)
    given: dict[str, Any] = {name: getattr(wanted, name) or getattr(known, name) for name in AI_FIELDS}
    label = replace(label, source_type=wanted.source_type or known.source_type or GENERATED, **given, conflicts=())
    if "provider" in written:
        label = replace(label, provider=wanted.provider or owner)
    if "created" in written and not known.created:
        label = replace(label, created=created)
    if known.identifier.startswith(OURS) or ("identifier" in written and not known.identifier):
        label = replace(label, identifier=identifier_of(link, message, digest))
    return label


def _with_aigc(known: Label, owner: str, link: str, message: str, *, wanted: bool) -> Label:
    """The label with our part of the AIGC object where it is wanted, or was there from an earlier mark."""
    code = f"message={int(message, 2):08x}"
    if known.produce_id.startswith(OURS) or (wanted and not known.value):
        empty: dict[str, Any] = dict.fromkeys(KEYS, "")
        return replace(known, **{**empty, "value": "1", "producer": owner, "produce_id": link, "reserved1": code})
    if known.value and (wanted or known.propagate_id.startswith(OURS)):
        return replace(known, propagator=owner, propagate_id=link, reserved2=code)
    return known


def identifier_of(link: str, message: str, digest: str) -> str:
    """An identifier that no other picture has and that names the mark: its link, then a UUID of version 5."""
    return f"{link}#{uuid.uuid5(_SPACE, f'{link} {message} {digest}')}"


def label_agrees(label: Label, marks: Iterable[tuple[str | None, str | None, str | None]]) -> bool | None:
    """Whether a watermark says the same: by link, message of 32 characters, and owner where the record is known.

    None for a label that names no watermark of this toolkit: there is nothing to compare. Each part that names one has
    to have its mark: AIGC object and identifier.
    """
    aigc = [
        (label.produce_id, label.reserved1, label.producer),
        (label.propagate_id, label.reserved2, label.propagator),
    ]
    known = list(marks)
    verdicts = []
    ours: list[tuple[str, str, str | None]] = [(*part,) for part in aigc if part[0].startswith(OURS)]
    if ours:
        verdicts.append(any(_same(part, mark) for part in ours for mark in known))
    if label.identifier.startswith(OURS):
        link = label.identifier.rpartition("#")[0]
        verdicts.append(any(_same((link, "", None), mark) for mark in known))
    return all(verdicts) if verdicts else None


def _same(part: tuple[str, str, str | None], mark: tuple[str | None, str | None, str | None]) -> bool:
    link, code, name = part
    found_link, message, owner = mark
    if link != found_link or (owner is not None and name is not None and owner != name):
        return False
    return message is None or not code.startswith("message=") or code == f"message={int(message, 2):08x}"


def read_label(metadata: Metadata, segments: bytes = b"") -> Label | None:
    """The label of a file, from XMP or else the other places of annex B and of files met in the wild; None if there is
    none. ``segments``: the APPn segments of a JPEG, of which one may begin with ``AIGC{``.
    """
    packet, comment = _in_exif(metadata)
    packets = [one for one in (xmp.parse(metadata.xmp), xmp.parse(packet)) if one is not None]
    said = read_fields(packets, metadata.text)
    in_xmp = (text for one in packets for text in stated(one, TC260, _NAME.decode()))
    texts = (value for keyword, value in metadata.text if keyword == _NAME.decode())
    places = [*in_xmp, *texts, *comment, *_segment_texts(segments)]
    found = [label for label in map(_from_json, places) if label is not None]
    if not found and not said.tells:
        return None
    label = found[0] if found else Label(value="")
    values: dict[str, Any] = dict(said.values)
    return replace(label, **values, conflicts=_conflicts(found, said))


def _conflicts(found: list[Label], said: IptcFields) -> tuple[str, ...]:
    """Fields of which different places say different things, of the AIGC object those that say whose it is."""
    aigc = [name for name in ("value", "producer", "produce_id") if len({getattr(one, name) for one in found}) > 1]
    return (*aigc, *said.conflicts)


def jpeg_segments(segments: bytes) -> Iterator[bytes]:
    """The APPn segments one by one, each with its marker."""
    at = 0
    while at + 4 <= len(segments):
        end = at + 2 + int.from_bytes(segments[at + 2 : at + 4], "big")
        yield segments[at:end]
        at = end


def _segment_texts(segments: bytes) -> Iterator[str]:
    """What APPn segments hold that begin with the label's name, right before its JSON or with a NUL between."""
    for part in jpeg_segments(segments):
        if part[4:].startswith(_NAME) and part[4 + len(_NAME) :].lstrip(b"\0 ").startswith(b"{"):
            yield part[4:].rstrip(b"\0").decode("utf-8", "replace")


def _from_json(text: str) -> Label | None:
    """A label as JSON, with its name in front or around it, there as an object or as JSON in a text."""
    stated: Any = text.strip().removeprefix(_NAME.decode()).lstrip("\0 :")
    for _ in range(_MOST_NESTED):
        if isinstance(stated, str):
            try:
                stated = json.loads(stated)
            except (ValueError, RecursionError):
                return None
        elif isinstance(stated, dict) and isinstance(stated.get("AIGC"), dict | str):
            stated = stated["AIGC"]
        else:
            break
    if not isinstance(stated, dict) or "Label" not in stated:
        return None
    said: dict[str, Any] = {name: str(stated.get(key) or "") for name, key in KEYS.items()}
    return Label(**said)


def exif_packet(metadata: Metadata) -> bytes | None:
    """The XMP packet that EXIF holds, None where there is none."""
    return _in_exif(metadata)[0]


def _in_exif(metadata: Metadata) -> tuple[bytes | None, tuple[str, ...]]:
    """What EXIF holds of a label: an XMP packet, and the user comment, annex B's other place in JPEG and WebP."""
    if not metadata.exif:
        return None, ()
    exif = Image.Exif()
    try:
        with quiet_pillow():
            exif.load(EXIF_PREFIX + metadata.exif)
            packet, comment = exif.get(_PACKET), exif.get_ifd(34665).get(_COMMENT)
    except Exception:  # Pillow raises nearly anything on damaged EXIF
        return None, ()
    if isinstance(packet, tuple):  # of single bytes
        packet = bytes(packet) if all(isinstance(one, int) and 0 <= one < 256 for one in packet) else None
    if not isinstance(comment, bytes):
        return packet if isinstance(packet, bytes) else None, ()
    text = comment.removeprefix(b"ASCII\0\0\0").removeprefix(b"UNICODE\0").decode("utf-8", "replace")
    return packet if isinstance(packet, bytes) else None, (text,)
