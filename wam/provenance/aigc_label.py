"""The label in a file's metadata that says a picture was generated, and whether it agrees with the watermark.

Two properties of the XMP packet: ``TC260:AIGC``, the implicit label of GB 45438-2025 (annex E, written as the guide
TC260-PG-20259A does), and ``Iptc4xmpExt:DigitalSourceType`` of the IPTC photo metadata standard. Anyone can write or
strip such a label; what it says is worth something only where a watermark says the same.

| field of the label | what is written                                         |
|--------------------|---------------------------------------------------------|
| Label              | 1, the content is generated                             |
| ContentProducer    | the record's owner                                      |
| ProduceID          | the short link of the watermark                         |
| ReservedCode1      | ``message=`` and the watermark's 32 bits in hexadecimal |

A picture that another producer has labelled keeps that part; owner, link and message go to ContentPropagator,
PropagateID and ReservedCode2 then. A DigitalSourceType that is already stated is kept.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, overload
from xml.dom import minidom

from PIL import Image

from wam.errors import ImageError
from wam.pictures.animation import Animation
from wam.pictures.containers import jpeg, xmp
from wam.pictures.containers.jpeg import SEGMENT_BYTES
from wam.pictures.formats import KEEPS, Metadata, Settings, check_format, quiet_pillow
from wam.pictures.metadata import EXIF_PREFIX, reset_orientation
from wam.pictures.samples import Picture

GENERATED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
TC260 = "http://www.tc260.org.cn/ns/AIGC/1.0/"
IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
MAX_XMP = xmp.MAX_XMP

_NAME = b"AIGC"
_MOST_NESTED = 6  # objects and texts around a label
_RDF = xmp.RDF
_TIFF = "http://ns.adobe.com/tiff/1.0/"
_JPEG_XMP = xmp.JPEG_START
_PNG_XMP = b"XML:com.adobe.xmp\0"
_EMPTY = f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">\
<rdf:RDF xmlns:rdf="{_RDF}"></rdf:RDF></x:xmpmeta><?xpacket end="w"?>""".encode()


@dataclass(frozen=True)
class Label:
    """What a label says; empty strings for what it does not."""

    value: str = "1"  # 1: generated, 2: possibly, 3: suspected; empty without an AIGC label
    producer: str = ""
    produce_id: str = ""
    reserved1: str = ""
    propagator: str = ""
    propagate_id: str = ""
    reserved2: str = ""
    source_type: str = ""  # URI of the IPTC digital source type

    def to_dict(self) -> dict[str, str | None]:
        """The fields for JSON, null for what is not said."""
        return {field.name: getattr(self, field.name) or None for field in fields(self)}


_KEYS = {
    "value": "Label",
    "producer": "ContentProducer",
    "produce_id": "ProduceID",
    "reserved1": "ReservedCode1",
    "propagator": "ContentPropagator",
    "propagate_id": "PropagateID",
    "reserved2": "ReservedCode2",
}


def mark_label(existing: Label | None, *, owner: str, link: str, message: str) -> Label:
    """The label for a picture marked with ``message`` (32 characters 0 and 1), next to what is stated already."""
    code = f"message={int(message, 2):08x}"
    source_type = (existing and existing.source_type) or GENERATED
    if existing is None or not existing.value or existing.produce_id.startswith("wm:"):
        return Label(producer=owner, produce_id=link, reserved1=code, source_type=source_type)
    return replace(existing, propagator=owner, propagate_id=link, reserved2=code, source_type=source_type)


def label_agrees(label: Label, marks: Iterable[tuple[str | None, str | None, str | None]]) -> bool | None:
    """Whether a watermark says the same: by link, message of 32 characters, and owner where the record is known.

    None for a label that names no watermark of this toolkit: there is nothing to compare.
    """
    stated = [
        (label.produce_id, label.reserved1, label.producer),
        (label.propagate_id, label.reserved2, label.propagator),
    ]
    ours = [part for part in stated if part[0].startswith("wm:")]
    if not ours:
        return None
    return any(_same(part, mark) for part in ours for mark in marks)


def _same(part: tuple[str, str, str], mark: tuple[str | None, str | None, str | None]) -> bool:
    link, code, name = part
    found_link, message, owner = mark
    if link != found_link or (owner is not None and owner != name):
        return False
    return message is None or not code.startswith("message=") or code == f"message={int(message, 2):08x}"


def read_label(metadata: Metadata, segments: bytes = b"") -> Label | None:
    """The label of a file, from XMP or else the other places of annex B and of files met in the wild; None if there is
    none. ``segments``: the APPn segments of a JPEG, of which one may begin with ``AIGC{``.
    """
    document = xmp.parse(metadata.xmp)
    stated = list(_properties(document, TC260, "AIGC")) if document else []
    types = list(_properties(document, IPTC, "DigitalSourceType")) if document else []
    texts = (value for keyword, value in metadata.text if keyword == "AIGC")
    for text in [*stated, *texts, *_comment(metadata), *_segment_texts(segments)]:
        label = _from_json(text)
        if label is not None:
            return replace(label, source_type=types[0] if types else "")
    return Label(value="", source_type=types[0]) if types else None


@overload
def labelled(source: Picture, label: Label, *, format: str, name: str) -> tuple[Picture, tuple[str, ...]]: ...
@overload
def labelled(source: Animation, label: Label, *, format: str, name: str) -> tuple[Animation, tuple[str, ...]]: ...
def labelled(
    source: Picture | Animation, label: Label, *, format: str, name: str
) -> tuple[Picture | Animation, tuple[str, ...]]:
    """The picture or animation with ``label`` in its XMP packet, to be encoded as ``format``, and what is lost by that.

    The lost names stand in ``settings.lost`` too, so that ``encode_image`` and ``encode_animation`` say them in their
    place among their own. A format without XMP carries no label: ``("label",)`` is lost and the metadata stays.
    Raises ``ImageError`` about ``name``, the output, where its metadata has no room for a label; ``ValueError`` for a
    format that is not written.
    """
    check_format(format)
    first = source if isinstance(source, Picture) else source.pictures[0]
    metadata, settings = first.metadata, first.settings
    lost: tuple[str, ...] = ("label",)
    if "xmp" in KEEPS[format]:
        try:
            metadata, settings, lost = _described(first, label, format)
        except ValueError as error:
            raise ImageError.about(
                name, expected="room for a label", found=str(error), remedy="write a .png"
            ) from error
    settings = replace(settings, lost=settings.lost + lost)
    if isinstance(source, Picture):
        return replace(source, metadata=metadata, settings=settings), lost
    pictures = tuple(replace(picture, metadata=metadata, settings=settings) for picture in source.pictures)
    return replace(source, pictures=pictures), lost


def _described(picture: Picture, label: Label, format: str) -> tuple[Metadata, Settings, tuple[str, ...]]:
    """Metadata and settings with the label as a file of ``format`` has them, and what had to go."""
    if format == picture.format:
        return attach_label(picture.metadata, picture.settings, label)
    # upright as the encoder makes it, before a damaged packet is replaced by a new one that keeps its orientation;
    # the segments and chunks of the old format are not written, so their limits do not count
    metadata, _, lost = attach_label(reset_orientation(picture.metadata), Settings(), label)
    return metadata, picture.settings, lost


def attach_label(metadata: Metadata, settings: Settings, label: Label) -> tuple[Metadata, Settings, tuple[str, ...]]:
    """Metadata and encoder settings that carry the label in XMP, and what had to go for it."""
    segments, chunks = settings.segments, settings.chunks
    # of an extended packet the main part alone is in its segment
    before = jpeg.xmp_of(jpeg.split(segments))[0] if segments else metadata.xmp
    document = xmp.parse(before)
    lost = ("XMP that is not well-formed",) if before and document is None else ()
    packet = _labelled(document or _new_packet(before or b""), label)
    if segments:
        if len(_JPEG_XMP) + len(packet) > SEGMENT_BYTES:
            raise ValueError(f"the label needs {len(packet)} bytes of XMP, JPEG takes {SEGMENT_BYTES}")
        others = b"".join(part for part in _jpeg_segments(segments) if not part[4:].startswith(_JPEG_XMP))
        size = len(_JPEG_XMP) + len(packet) + 2
        exif_end = _exif_end(others)
        stated = struct.pack(">BBH", 0xFF, 0xE1, size) + _JPEG_XMP + packet
        segments = others[:exif_end] + stated + others[exif_end:]
    if chunks:
        others_png = tuple(part for part in chunks if not (part[0] == b"iTXt" and part[1].startswith(_PNG_XMP)))
        chunks = ((b"iTXt", _PNG_XMP + bytes(4) + packet, False), *others_png)
    return replace(metadata, xmp=packet), replace(settings, segments=segments, chunks=chunks), lost


def _jpeg_segments(segments: bytes) -> Iterator[bytes]:
    at = 0
    while at + 4 <= len(segments):
        end = at + 2 + int.from_bytes(segments[at + 2 : at + 4], "big")
        yield segments[at:end]
        at = end


def _exif_end(segments: bytes) -> int:
    """Where EXIF ends if it is the first segment, as readers want it."""
    first = next(_jpeg_segments(segments), b"")
    return len(first) if first[4:].startswith(EXIF_PREFIX) else 0


def _new_packet(damaged: bytes) -> minidom.Document:
    """An empty packet; of a damaged one it keeps the orientation, which readers find without parsing."""
    orientation = re.search(rb'tiff:Orientation(?:="|>)([1-8])', damaged)
    said = f' xmlns:tiff="{_TIFF}" tiff:Orientation="{orientation[1].decode()}"' if orientation else ""
    inside = f'<rdf:Description rdf:about=""{said}/></rdf:RDF>'
    return minidom.parseString(_EMPTY.replace(b"</rdf:RDF>", inside.encode()))


def _properties(document: minidom.Document, space: str, name: str) -> Iterator[str]:
    for element in document.getElementsByTagNameNS(space, name):
        text = "".join(node.data for node in element.childNodes if isinstance(node, minidom.Text))
        yield text.strip() or element.getAttributeNS(_RDF, "resource")
    for element in document.getElementsByTagNameNS(_RDF, "Description"):
        if element.hasAttributeNS(space, name):
            yield element.getAttributeNS(space, name)


def _labelled(document: minidom.Document, label: Label) -> bytes:
    """The packet with the label in place of earlier ones; the rest as it was."""
    for space, name in ((TC260, "AIGC"), (IPTC, "DigitalSourceType")):
        for element in list(document.getElementsByTagNameNS(space, name)):
            if element.parentNode is not None:
                element.parentNode.removeChild(element)
        for element in document.getElementsByTagNameNS(_RDF, "Description"):
            if element.hasAttributeNS(space, name):
                element.removeAttributeNS(space, name)
    rdf = document.getElementsByTagNameNS(_RDF, "RDF")[0]
    about = [d.getAttributeNS(_RDF, "about") for d in rdf.getElementsByTagNameNS(_RDF, "Description")]
    description = document.createElement("rdf:Description")
    description.setAttribute("xmlns:rdf", _RDF)
    description.setAttribute("rdf:about", about[0] if about else "")
    aigc = json.dumps({key: getattr(label, name) for name, key in _KEYS.items()}, ensure_ascii=False)
    for prefix, space, name, text in (
        ("TC260", TC260, "AIGC", aigc),
        ("Iptc4xmpExt", IPTC, "DigitalSourceType", label.source_type),
    ):
        description.setAttribute(f"xmlns:{prefix}", space)
        element = description.appendChild(document.createElement(f"{prefix}:{name}"))
        element.appendChild(document.createTextNode(text))
    rdf.appendChild(description)
    return xmp.written(document)


def _segment_texts(segments: bytes) -> Iterator[str]:
    """What APPn segments hold that begin with the label's name, right before its JSON or with a NUL between."""
    for part in _jpeg_segments(segments):
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
    return Label(**{name: str(stated.get(key) or "") for name, key in _KEYS.items()})


def _comment(metadata: Metadata) -> Iterator[str]:
    """The EXIF user comment, annex B's other place in JPEG and WebP."""
    if not metadata.exif:
        return
    exif = Image.Exif()
    try:
        with quiet_pillow():
            exif.load(EXIF_PREFIX + metadata.exif)
            comment = exif.get_ifd(34665).get(37510)
    except Exception:  # Pillow raises nearly anything on damaged EXIF
        return
    if isinstance(comment, bytes):
        yield comment.removeprefix(b"ASCII\0\0\0").removeprefix(b"UNICODE\0").decode("utf-8", "replace")
