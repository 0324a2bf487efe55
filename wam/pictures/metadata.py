"""What a picture file says about itself: read it, and fit it to another format."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from PIL import Image

from wam.pictures.containers import exif as exif_blocks
from wam.pictures.containers import png, tiff, xmp
from wam.pictures.containers.iptc_in_xmp import with_iptc
from wam.pictures.containers.jpeg import SEGMENT_BYTES
from wam.pictures.containers.parts import CREDENTIALS, EXIF, IPTC, PHOTOSHOP, TEXT, XMP, Part
from wam.pictures.formats import KEEPS, METADATA_NAMES, Metadata

_COMMENTED = ("JPEG", "MPO", "GIF", "JPEG2000")  # formats whose texts are comments
PNG_SIGNATURE = png.SIGNATURE
EXIF_PREFIX = b"Exif\0\0"
png_chunks = png.chunks


def read_metadata(image: Image.Image, parts: Sequence[Part]) -> Metadata:
    """Metadata of a decoded Pillow picture whose file has these parts."""
    found = {part.kind: part.data for part in reversed(parts)}  # the first of a kind
    listed = image.format in ("AVIF", "HEIF") and "items" not in found  # Pillow takes that of any item
    exif = found.get(EXIF) or (None if listed else _pillow_exif(image))
    if exif and image.format == "HEIF":
        exif = exif_blocks.upright(exif)  # as its decoder makes the pixels
    packet = found.get(XMP) or (None if listed else image.info.get("xmp") or image.info.get("XML:com.adobe.xmp"))
    if isinstance(packet, str):
        packet = packet.encode()
    dpi = image.info.get("dpi", ())
    stated = image.format not in ("JPEG", "MPO") or image.info.get("jfif_unit") in (1, 2)
    if not stated or not dpi or not 1 < min(dpi) < 65536:
        dpi = ()  # an aspect ratio, or Pillow's default; EXIF keeps a resolution of its own
    listed_profile = found.get("icc") if image.format in ("BMP", "JPEG2000") else None
    profile = listed_profile or image.info.get("icc_profile")
    return Metadata(
        icc_profile=profile or None,
        exif=exif or None,
        xmp=_without_signature(packet, parts) if isinstance(packet, bytes) else None,
        dpi=(float(dpi[0]), float(dpi[1])) if dpi else None,
        text=tuple(_read_text(image, parts)),
        iptc=found.get(IPTC),
        photoshop=found.get(PHOTOSHOP),
    )


def _pillow_exif(image: Image.Image) -> bytes | None:
    """EXIF that Pillow alone finds."""
    exif = image.info.get("exif")
    return exif.removeprefix(EXIF_PREFIX) if isinstance(exif, bytes) and image.format not in ("TIFF", "AVIF") else None


def _without_signature(packet: bytes, parts: Sequence[Part]) -> bytes:
    """The packet without its pointer to content credentials, which no file saved again has."""
    signed = any(part.name == CREDENTIALS for part in parts)
    return xmp.without(packet, xmp.CREDENTIALS) if signed else packet


def _read_text(image: Image.Image, parts: Sequence[Part]) -> Iterator[tuple[str, str]]:
    for keyword, value in getattr(image, "text", {}).items():
        if keyword != "XML:com.adobe.xmp" and not keyword.startswith("Raw profile type"):
            yield keyword, str(value)
    stated = [part.data.decode() for part in parts if part.kind == TEXT and image.format in _COMMENTED]
    for keyword, _, value in (words.partition("\0") for words in stated):
        yield keyword, value


def reset_orientation(metadata: Metadata) -> Metadata:
    """The same metadata saying that the pixels stand upright."""
    packet = metadata.xmp
    if packet is not None:
        packet = re.sub(rb'(tiff:Orientation(?:="|>))[0-9]', rb"\g<1>1", packet)
    exif = metadata.exif
    return replace(metadata, xmp=packet, exif=exif and exif_blocks.upright(exif))


def fit_metadata(metadata: Metadata, *, format: str, mode: str) -> Metadata:
    """The part of the metadata that ``format`` carries; without statements about what no other format has."""
    drop = {name for name in METADATA_NAMES if name not in KEEPS[format]}
    if format in ("JPEG", "GIF"):  # they have comments
        drop.discard("text")
        metadata = replace(metadata, text=tuple(pair for pair in metadata.text if pair[0] == "Comment"))
    space = (metadata.icc_profile or b"")[16:20]
    if (space == b"GRAY" and mode[0] != "L") or (space == b"CMYK" and mode != "CMYK"):
        drop.add("icc_profile")
    if metadata.xmp is not None:
        metadata = replace(metadata, xmp=xmp.without(metadata.xmp, (*xmp.APPENDED, *xmp.EXTENSION)))
    if metadata.iptc is not None and "xmp" in KEEPS[format]:
        metadata = replace(metadata, xmp=with_iptc(metadata.xmp, metadata.iptc))
    if format == "JPEG" and metadata.exif is not None:
        metadata = replace(metadata, exif=_short_exif(metadata.exif))
    empty: dict[str, Any] = {name: () if name == "text" else None for name in drop}
    return replace(metadata, **empty)


def _short_exif(block: bytes) -> bytes | None:
    """A block that fits one segment: as it is, or without private tags, or none."""
    room = SEGMENT_BYTES - len(EXIF_PREFIX)
    if len(block) > room and exif_blocks.known_directories(block):
        block = tiff.exif_block(block, private=False) or block
    return block if len(block) <= room else None
