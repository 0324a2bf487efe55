"""What JPEG XL (ISO/IEC 18181-2) and JPEG 2000 files (15444-1, annex I) hold beside their picture. Both are read, not
written, so that all of it is carried over to another format or named."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import Any

from wam.pictures.boxes import Box, boxes
from wam.pictures.containers import iptc
from wam.pictures.containers.parts import (
    CREDENTIALS,
    GAIN_MAP,
    ICC,
    IPTC,
    PHOTOSHOP,
    RESTORED,
    XMP,
    Part,
    appended,
    comment,
    of_exif,
    resolution,
    shared,
    text,
)

MOST = 1 << 26  # of a box that is compressed, in bytes once it is not
_JXL_PIXELS = frozenset({b"JXL ", b"ftyp", b"jxlc", b"jxlp", b"jxll", b"jxli"})
_JP2_PIXELS = frozenset({b"jP  ", b"ftyp", b"jp2c"})
_JP2_HEADER = frozenset({b"ihdr", b"bpcc", b"pclr", b"cmap", b"cdef"})
_FREE = frozenset({b"free", b"skip"})
_C2PA = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_EXIF = b"JpgTiffExif->JP2"
_XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_IPTC = bytes.fromhex("33c7a4d2b81d4723a0baf1a3e097ad38")
_PHOTOSHOP = bytes.fromhex("2c4c0100850440b9a03e562148d6dfeb")
_GEOTIFF = bytes.fromhex("b14bf8bd083d4b43a5ae8cd7d5a6ce03")
_WORDS = {
    b"jbrd": RESTORED,
    b"jhgm": GAIN_MAP,
    b"jp2i": "intellectual property (jp2i)",
    b"uinf": "links (uinf)",
    b"asoc": "associated data (asoc)",
}
_START_OF_DATA, _COMMENT = 0xFF90, 0xFF64  # markers of a JPEG 2000 codestream
_ENCODERS = ("Created by OpenJPEG", "Kakadu-", "Creator: JasPer")  # say how the pixels were stored


def jxl(content: bytes) -> Iterator[Part]:
    """All that a JPEG XL file holds beside its picture; nothing in one that is a bare codestream."""
    if content[4:8] != b"JXL ":
        return
    end = 0
    for box in boxes(content):
        end = box.end
        data = content[box.start : box.end]
        if box.kind == b"brob":
            yield from _compressed(data)
        elif box.kind not in _JXL_PIXELS:
            yield from _of_box(box.kind, data)
    yield from appended(content[end:])


def jp2(content: bytes) -> Iterator[Part]:
    """All that a JPEG 2000 file, or a bare codestream, holds beside its picture."""
    if content[4:8] != b"jP  ":
        yield from _of_codestream(content)
        return
    end = 0
    for box in boxes(content):
        end = box.end
        data = content[box.start : box.end]
        if box.kind == b"jp2h":
            yield from _of_header(content, box)
        elif box.kind == b"jp2c":
            yield from _of_codestream(data)
        elif box.kind not in _JP2_PIXELS:
            yield from _of_box(box.kind, data)
    yield from appended(content[end:])


def deepest(content: bytes) -> int:
    """Most bits of a sample, as the codestream says; 0 if it is not told."""
    if content.startswith(b"\xff\x0a") or content[4:8] == b"JXL ":
        return _jxl_depth(content)
    return _jp2_depth(content)


def _jxl_depth(content: bytes) -> int:
    """By size and metadata at a codestream's start (18181-1, sections D.2 and D.3), whose bits come lowest first."""
    for box in boxes(content) if content[4:8] == b"JXL " else ():
        if box.kind in (b"jxlc", b"jxlp"):
            content = content[box.start + (4 if box.kind == b"jxlp" else 0) :]
            break
    bits = int.from_bytes(content[2:40], "little")

    def take(count: int) -> int:
        nonlocal bits
        value, bits = bits & (1 << count) - 1, bits >> count
        return value

    def size() -> None:
        lengths = (5,) * 4 if (is_small := take(1)) else (9, 13, 18, 30)
        take(lengths[0 if is_small else take(2)])
        if not take(3):
            take(lengths[0 if is_small else take(2)])

    size()
    if take(1):  # all as usual
        return 8
    if take(1):
        take(3)
        if take(1):
            size()
        if take(2):  # a preview or an animation
            return 0
    if take(1):  # floats
        return 32
    return (8, 10, 12)[chosen] if (chosen := take(2)) < 3 else 1 + take(6)


def _jp2_depth(content: bytes) -> int:
    """By the sizes of a codestream (15444-1, section A.5.1)."""
    at = content.find(b"\xff\x4f\xff\x51")
    if at < 0 or at + 42 > len(content):
        return 0
    count = int.from_bytes(content[at + 40 : at + 42], "big")
    return max(((depth & 0x7F) + 1 for depth in content[at + 42 : at + 42 + 3 * count : 3]), default=0)


def _of_box(kind: bytes, data: bytes) -> Iterator[Part]:
    if kind == b"Exif":
        yield from of_exif(_exif(data))
    elif kind == b"xml " and b"http://www.w3.org/1999/02/22-rdf-syntax-ns#" in data:
        yield shared(XMP, data)
    elif kind == b"uuid":
        yield from _of_uuid(data[:16], data[16:])
    elif kind not in _FREE or data.strip(b"\0"):
        yield Part(f"box {kind!r}", _name(kind, data), data)


def _name(kind: bytes, data: bytes) -> str:
    if kind == b"jumb" and b"c2pa" in data:
        return CREDENTIALS
    if kind in _FREE:
        return "data in free space of the file"
    return _WORDS.get(kind, f"box {kind.decode('latin-1').strip()}")


def _exif(data: bytes) -> bytes:
    """The block of a box, which starts with where the block starts; some writers leave that out."""
    block = data[4 + int.from_bytes(data[:4], "big") :]
    return data if data[:2] in (b"II", b"MM") and block[:2] not in (b"II", b"MM") else block.removeprefix(b"Exif\0\0")


def _compressed(data: bytes) -> Iterator[Part]:
    """A box under Brotli, behind its kind (18181-2, section 9.8)."""
    decode = _brotli()
    kind = data[:4]
    try:
        if decode is None:
            raise ValueError("expected a decoder of Brotli, found none, name the box")
        yield from _of_box(kind, bytes(decode(data[4:], out=MOST)))
    except (ValueError, RuntimeError, MemoryError):
        words = {b"Exif": "EXIF", b"xml ": "XMP", b"jumb": CREDENTIALS}
        yield Part(f"compressed {kind!r}", words.get(kind, _name(kind, b"")), data)


def _brotli() -> Any:
    """imagecodecs' decoder, None where the extra is not installed."""
    try:
        from imagecodecs import brotli_decode
    except ImportError:
        return None
    return brotli_decode


def _of_uuid(name: bytes, data: bytes) -> Iterator[Part]:
    if name == _EXIF:
        yield from of_exif(data.removeprefix(b"Exif\0\0"))
    elif name == _XMP:
        yield shared(XMP, data)
    elif name == _IPTC:
        yield shared(IPTC, data)
    elif name == _PHOTOSHOP:
        found, others = iptc.iptc_of(data), iptc.others_of(data)
        if found:
            yield shared(IPTC, found)
        if others:
            yield shared(PHOTOSHOP, others)
        if iptc.has_thumbnail(data):
            yield Part("Photoshop thumbnail", "Photoshop thumbnail", b"")
    else:
        words = {_C2PA: CREDENTIALS, _GEOTIFF: "GeoTIFF in a box"}
        yield Part(f"box uuid {name.hex()}", words.get(name, f"box uuid {name.hex()}"), data)


def _of_header(content: bytes, header: Box) -> Iterator[Part]:
    """Profiles, resolution and what is not known of a JP2 header (15444-1, section I.5.3)."""
    for box in boxes(content, header.start, header.end):
        data = content[box.start : box.end]
        if box.kind == b"colr" and data[:1] in (b"\2", b"\3"):
            yield shared(ICC, data[3:])
        elif box.kind == b"res ":
            yield from _resolution(
                {one.kind: content[one.start : one.end] for one in boxes(content, box.start, box.end)}
            )
        elif box.kind != b"colr" and box.kind not in _JP2_HEADER:
            yield from _of_box(box.kind, data)


def _resolution(found: Mapping[bytes, bytes]) -> Iterator[Part]:
    for kind in (b"resc", b"resd"):  # as captured, else as shown
        if len(found.get(kind, b"")) == 10:
            down, below_down, across, below_across, tens_down, tens_across = struct.unpack(">4H2b", found[kind])
            if below_down and below_across:
                metre = across / below_across * 10.0**tens_across, down / below_down * 10.0**tens_down
                yield resolution(*(value * 0.0254 for value in metre))
                return


def _of_codestream(content: bytes) -> Iterator[Part]:
    """Comments in the main header (15444-1, section A.9.2), but for names of encoders."""
    at = 2
    while at + 4 <= len(content):
        marker, size = struct.unpack_from(">HH", content, at)
        if marker == _START_OF_DATA:
            return
        if marker == _COMMENT:
            data = content[at + 6 : at + 2 + size]
            if content[at + 4 : at + 6] != b"\0\1":
                yield Part("comment", "comment that is no text", data)
            elif not comment(data).startswith(_ENCODERS):
                yield text("Comment", comment(data))
        at += 2 + size
