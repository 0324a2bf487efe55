"""Putting a label on a picture: its XMP packet with the label in it, beside all that stood there."""

from __future__ import annotations

import json
import re
import struct
from dataclasses import replace
from typing import overload
from xml.dom import minidom

from wam.errors import ImageError
from wam.pictures.animation import Animation
from wam.pictures.containers import jpeg, xmp
from wam.pictures.containers.jpeg import SEGMENT_BYTES
from wam.pictures.formats import KEEPS, Metadata, Settings, check_format
from wam.pictures.metadata import EXIF_PREFIX, reset_orientation
from wam.pictures.samples import Picture
from wam.provenance.aigc_label import KEYS, TC260, Label, exif_packet, jpeg_segments
from wam.provenance.iptc_fields import PROPERTIES, add_text, opposed_in, opposes, remove, write_fields

_RDF = xmp.RDF
_TIFF = "http://ns.adobe.com/tiff/1.0/"
_JPEG_XMP = xmp.JPEG_START
_PNG_XMP = b"XML:com.adobe.xmp\0"
_EMPTY = f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">\
<rdf:RDF xmlns:rdf="{_RDF}"></rdf:RDF></x:xmpmeta><?xpacket end="w"?>""".encode()


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
    """Metadata and encoder settings that carry the label in XMP, and what had to go for it. What other places of the
    file say of a field of the label is taken out where it is something else: a file that contradicts itself is worth
    nothing."""
    metadata, settings = _unopposed(metadata, settings, label)
    segments, chunks = settings.segments, settings.chunks
    # of an extended packet the main part alone is in its segment
    before = jpeg.xmp_of(jpeg.split(segments))[0] if segments else metadata.xmp
    document = xmp.parse(before)
    lost = ("XMP that is not well-formed",) if before and document is None else ()
    packet = _labelled(document or _new_packet(before or b""), label)
    if segments:
        if len(_JPEG_XMP) + len(packet) > SEGMENT_BYTES:
            raise ValueError(f"the label needs {len(packet)} bytes of XMP, JPEG takes {SEGMENT_BYTES}")
        others = b"".join(part for part in jpeg_segments(segments) if not part[4:].startswith(_JPEG_XMP))
        size = len(_JPEG_XMP) + len(packet) + 2
        exif_end = _exif_end(others)
        stated = struct.pack(">BBH", 0xFF, 0xE1, size) + _JPEG_XMP + packet
        segments = others[:exif_end] + stated + others[exif_end:]
    if chunks:
        others_png = tuple(part for part in chunks if not (part[0] == b"iTXt" and part[1].startswith(_PNG_XMP)))
        chunks = ((b"iTXt", _PNG_XMP + bytes(4) + packet, False), *others_png)
    return replace(metadata, xmp=packet), replace(settings, segments=segments, chunks=chunks), lost


def _unopposed(metadata: Metadata, settings: Settings, label: Label) -> tuple[Metadata, Settings]:
    """Without PNG texts, and statements of a packet in EXIF, that say other than the label."""
    opposed = {keyword for keyword, value in metadata.text if opposes(keyword, value, label)}
    texts = tuple(pair for pair in metadata.text if pair[0] not in opposed)
    chunks = tuple(part for part in settings.chunks if _keyword(part) not in opposed)
    metadata, settings = replace(metadata, text=texts), replace(settings, chunks=chunks)
    packet = exif_packet(metadata)
    document = xmp.parse(packet)
    if packet is None or document is None or not (names := opposed_in(document, label)):
        return metadata, settings
    for _, space, local in (PROPERTIES[name] for name in names):
        remove(document, space, local)
    # of the same length, so that nothing else of EXIF moves
    rest = xmp.written(document)
    rest = rest.ljust(len(packet)) if len(rest) <= len(packet) else bytes(len(packet))
    metadata = replace(metadata, exif=(metadata.exif or b"").replace(packet, rest))
    return metadata, replace(settings, segments=settings.segments.replace(packet, rest))


def _keyword(chunk: tuple[bytes, bytes, bool]) -> str | None:
    """Of a PNG text, None of any other chunk."""
    return chunk[1].partition(b"\0")[0].decode("latin-1") if chunk[0] in (b"tEXt", b"zTXt", b"iTXt") else None


def _exif_end(segments: bytes) -> int:
    """Where EXIF ends if it is the first segment, as readers want it."""
    first = next(jpeg_segments(segments), b"")
    return len(first) if first[4:].startswith(EXIF_PREFIX) else 0


def _new_packet(damaged: bytes) -> minidom.Document:
    """An empty packet; of a damaged one it keeps the orientation, which readers find without parsing."""
    orientation = re.search(rb'tiff:Orientation(?:="|>)([1-8])', damaged)
    said = f' xmlns:tiff="{_TIFF}" tiff:Orientation="{orientation[1].decode()}"' if orientation else ""
    inside = f'<rdf:Description rdf:about=""{said}/></rdf:RDF>'
    return minidom.parseString(_EMPTY.replace(b"</rdf:RDF>", inside.encode()))


def _labelled(document: minidom.Document, label: Label) -> bytes:
    """The packet with the label in place of earlier ones; the rest as it was."""
    rdf = document.getElementsByTagNameNS(_RDF, "RDF")[0]
    about = [d.getAttributeNS(_RDF, "about") for d in rdf.getElementsByTagNameNS(_RDF, "Description")]
    description = document.createElement("rdf:Description")
    description.setAttribute("xmlns:rdf", _RDF)
    description.setAttribute("rdf:about", about[0] if about else "")
    if label.value:
        remove(document, TC260, "AIGC")
        aigc = json.dumps({key: getattr(label, name) for name, key in KEYS.items()}, ensure_ascii=False)
        add_text(document, description, "TC260:AIGC", TC260, aigc)
    write_fields(document, description, {name: getattr(label, name) for name in (*PROPERTIES, "provider")})
    rdf.appendChild(description)
    return xmp.written(document)
