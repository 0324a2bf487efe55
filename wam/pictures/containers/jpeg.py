"""JPEG files segment by segment (ITU-T T.81, annex B), what follows their end, and the pictures that CIPA DC-007 (MPF)
finds there by offsets."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from wam.pictures.containers import exif, iptc, xmp
from wam.pictures.containers.parts import (
    CREDENTIALS,
    FURTHER,
    ICC,
    IPTC,
    PHOTOSHOP,
    XMP,
    Part,
    appended,
    comment,
    of_exif,
    resolution,
    shared,
    text,
)

SEGMENT_BYTES = 65_533  # the most that one segment carries
EXIF_START, ICC_START, MPF_START = b"Exif\0\0", b"ICC_PROFILE\0", b"MPF\0"
APP0, APP1, APP2, APP11, APP13, APP14, COMMENT = 0xE0, 0xE1, 0xE2, 0xEB, 0xED, 0xEE, 0xFE
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})  # markers without a length
_SCAN, _END = 0xDA, 0xD9
LARGE_THUMBNAIL, SEVERAL_VIEWS = 0x010000, 0x020000  # kinds of pictures in an MPF index (DC-007, section 5.2.3.3.1)
_MP_ENTRIES = 0xB002  # tag of the list of pictures, 16 bytes each: kind, size, offset and two references


@dataclass(frozen=True)
class Segment:
    """``code`` is the second byte of its marker; ``at`` is where that marker stands in the file."""

    code: int
    data: bytes
    at: int

    def written(self) -> bytes:
        """The segment as it stands in a file."""
        return struct.pack(">BBH", 0xFF, self.code, len(self.data) + 2) + self.data


def walk(content: bytes) -> tuple[list[Segment], int]:
    """Application and comment segments of a file, and where its end marker ends; the file's length if it has none."""
    found: list[Segment] = []
    at = 2
    while at + 2 <= len(content):
        if content[at] != 0xFF:
            at = content.find(b"\xff", at)
            if at < 0:
                break
            continue
        code = content[at + 1]
        if code == _END:
            return found, at + 2
        if code in (0x00, 0xFF) or code in _ALONE:
            at += 1 if code == 0xFF else 2
            continue
        size = int.from_bytes(content[at + 2 : at + 4], "big")
        if APP0 <= code <= 0xEF or code == COMMENT:
            found.append(Segment(code, content[at + 4 : at + 2 + size], at))
        at += 2 + max(size, 2)
    return found, len(content)


def split(segments: bytes) -> list[Segment]:
    """Segments that stand one after another."""
    return walk(b"\xff\xd8" + segments)[0]


def parts(content: bytes) -> Iterator[Part]:
    """All that a JPEG holds beside its picture."""
    found, end = walk(content)
    yield from _joined(found)
    signing = _signing(found)
    for segment in found:
        if segment not in signing:
            yield from _of_segment(segment)
    yield from appended(content[end:])


def _joined(found: Sequence[Segment]) -> Iterator[Part]:
    """Parts that take several segments."""
    profile = b"".join(s.data[14:] for s in found if s.code == APP2 and s.data.startswith(ICC_START))
    if profile:
        yield shared(ICC, profile)
    packet, extension = xmp_of(found)
    if extension:
        whole = xmp.joined(packet or b"", extension)
        yield shared(XMP, packet + extension if whole is None and packet else whole or extension)
    elif packet:
        yield shared(XMP, packet)
    for more in [s for s in found if s.code == APP1 and s.data.startswith(xmp.JPEG_START)][1:]:
        yield Part("JPEG XMP", "second XMP packet", more.data)
    signed = _signing(found)
    if signed:
        yield Part("JPEG credentials", CREDENTIALS, b"".join(s.data for s in signed))
    resources = photoshop_of(found)
    if iptc.iptc_of(resources):
        yield shared(IPTC, iptc.iptc_of(resources) or b"")
    if iptc.others_of(resources):
        yield shared(PHOTOSHOP, iptc.others_of(resources))
    if iptc.has_thumbnail(resources):
        yield Part("Photoshop thumbnail", "Photoshop thumbnail", b"")


def _signing(found: Sequence[Segment]) -> list[Segment]:
    """Segments of content credentials: of JUMBF boxes, which may take several, those of kind ``c2pa`` (C2PA 2.1,
    section A.3.1; ISO/IEC 19566-5, annex D)."""
    several: dict[bytes, list[Segment]] = {}
    for segment in found:
        if segment.code == APP11 and segment.data.startswith(b"JP"):
            several.setdefault(segment.data[2:4] + segment.data[12:16], []).append(segment)
    return [s for box in several.values() if b"c2pa" in b"".join(s.data for s in box) for s in box]


def xmp_of(found: Sequence[Segment]) -> tuple[bytes | None, bytes]:
    """The XMP packet, and the extended one put together (XMP part 3, section 1.1.3.1)."""
    packet = next(
        (s.data.removeprefix(xmp.JPEG_START) for s in found if s.code == APP1 and s.data.startswith(xmp.JPEG_START)),
        None,
    )
    skip = len(xmp.JPEG_EXTENSION) + 32 + 4
    pieces = {
        int.from_bytes(s.data[skip : skip + 4], "big"): s.data[skip + 4 :]
        for s in found
        if s.code == APP1 and s.data.startswith(xmp.JPEG_EXTENSION)
    }
    return packet, b"".join(pieces[at] for at in sorted(pieces))


def photoshop_of(found: Sequence[Segment]) -> bytes:
    """Photoshop's resources of all segments, one after another."""
    starts = iptc.PHOTOSHOP_START
    return b"".join(s.data.removeprefix(starts) for s in found if s.code == APP13 and s.data.startswith(starts))


def _of_segment(segment: Segment) -> Iterator[Part]:
    code, data = segment.code, segment.data
    if code == APP0 and data.startswith(b"JFIF\0"):
        yield from _of_jfif(data)
    elif code == APP0 and data.startswith(b"JFXX\0"):
        yield Part("JFIF thumbnail", "JFIF thumbnail", data)
    elif code == APP1 and data.startswith(EXIF_START):
        yield from of_exif(data.removeprefix(EXIF_START))
    elif code == COMMENT:
        yield text("Comment", comment(data))
    elif code == APP2 and data.startswith(MPF_START):
        yield Part("MPF", FURTHER, b"")  # an index, whose numbers follow the file's
    elif not (_is_joined(code, data) or _is_transform(segment)):
        yield Part(f"JPEG APP{code - APP0}", f"JPEG APP{code - APP0} data{_title(data)}", data)


def _is_transform(segment: Segment) -> bool:
    """Whether it is Adobe's statement of the colour transform, and nothing more."""
    return segment.code == APP14 and segment.data.startswith(b"Adobe") and len(segment.data) == 12


def _title(data: bytes) -> str:
    """The name that a segment starts with, in brackets."""
    title = data[:32].split(b"\0")[0]
    return f" ({title.decode()})" if 3 <= len(title) < 32 and title.isascii() and title.decode().isprintable() else ""


def _is_joined(code: int, data: bytes) -> bool:
    starts = {APP1: (xmp.JPEG_START, xmp.JPEG_EXTENSION), APP2: (ICC_START,), APP13: (iptc.PHOTOSHOP_START,)}
    return data.startswith(starts.get(code, ())) if code in starts else False


def _of_jfif(data: bytes) -> Iterator[Part]:
    if len(data) >= 12 and data[7] in (1, 2):
        across, down = struct.unpack_from(">HH", data, 8)
        factor = 1 if data[7] == 1 else 2.54
        if min(across, down) > 1:
            yield resolution(across * factor, down * factor)
    if len(data) > 14 and data[12] and data[13]:
        yield Part("JFIF thumbnail", "JFIF thumbnail", data[14:])


@dataclass(frozen=True)
class Appended:
    """What follows the end of a JPEG, and how far before that the numbers of its MPF index count from, 0 for none;
    ``pictures``: kind, place in ``data`` and size of each picture that the index lists there."""

    data: bytes = b""
    index_before: int = 0
    pictures: tuple[tuple[int, int, int], ...] = ()


def appended_of(content: bytes) -> Appended:
    """What follows the end of a file's picture."""
    found, end = walk(content)
    index = _index_place(found)
    pictures = tuple((kind, at - end, size) for kind, at, size in pictures_of_index(content) if at >= end)
    return Appended(content[end:], 0 if index is None else end - index, pictures)


def _index_place(found: Sequence[Segment]) -> int | None:
    """Where the offsets of the MPF index count from: its byte order mark (DC-007, section 5.2.2)."""
    for segment in found:
        if segment.code == APP2 and segment.data.startswith(MPF_START):
            return segment.at + 4 + len(MPF_START)
    return None


def with_appended(content: bytes, kept: Appended) -> bytes:
    """The file with what followed another one's end, found by its own index at its new place."""
    found, end = walk(content)
    content = content[:end]
    index = _index_place(found)
    if index is not None and kept.index_before:
        block = next(s.data for s in found if s.code == APP2 and s.data.startswith(MPF_START))[len(MPF_START) :]
        moved = _moved_index(block, size=end, by=(end - index) - kept.index_before)
        content = content[:index] + moved + content[index + len(moved) :]
    return content + kept.data


def _moved_index(block: bytes, *, size: int, by: int) -> bytes:
    """An MPF index for a first picture of ``size`` bytes and others that lie ``by`` bytes farther."""
    changed = bytearray(block)
    try:
        order = exif.byte_order(block)
        entry = exif.read_directory(block, exif.first_directory(block)).entries[_MP_ENTRIES]
        for at in range(entry.at, entry.at + len(entry.value) // 16 * 16, 16):
            _, length, offset = struct.unpack_from(f"{order}III", block, at)
            stated = (size, 0) if at == entry.at and offset == 0 else (length, offset + by)
            struct.pack_into(f"{order}II", changed, at + 4, *stated)
    except (struct.error, ValueError, KeyError):
        return block  # a damaged index is passed on as it is
    return bytes(changed)


def pictures_of_index(content: bytes) -> Iterator[tuple[int, int, int]]:
    """Kind, place and size of each further picture that the MPF index lists (DC-007, section 5.2.3.3)."""
    found, _ = walk(content)
    index = _index_place(found)
    if index is None:
        return
    block = next(s.data for s in found if s.code == APP2 and s.data.startswith(MPF_START))[len(MPF_START) :]
    try:
        order = exif.byte_order(block)
        entry = exif.read_directory(block, exif.first_directory(block)).entries[_MP_ENTRIES]
        for at in range(entry.at, entry.at + len(entry.value) // 16 * 16, 16):
            kind, length, offset = struct.unpack_from(f"{order}III", block, at)
            if offset:
                yield kind & 0xFFFFFF, index + offset, length
    except (struct.error, ValueError, KeyError):
        return


def kept_segments(content: bytes) -> bytes:
    """What a file saved again carries of its segments, as they stood: all but the resolution, colour transform and
    signatures over the old pixels."""
    found = walk(content)[0]
    signing = _signing(found)
    kept = []
    for segment in found:
        code, data = segment.code, segment.data
        stated = code == APP0 and data.startswith((b"JFIF\0", b"JFXX\0"))
        if stated or segment in signing or _is_transform(segment):
            continue
        if signing and code == APP1 and data.startswith(xmp.JPEG_START):
            packet = xmp.without(data.removeprefix(xmp.JPEG_START), xmp.CREDENTIALS)
            segment = replace(segment, data=xmp.JPEG_START + packet)
        if len(segment.data) <= SEGMENT_BYTES:
            kept.append(segment.written())
    return b"".join(kept)


def with_exif(segments: bytes, block: bytes) -> bytes:
    """Segments with another EXIF block in the place of the first one."""
    found = split(segments)
    first = next((s for s in found if s.code == APP1 and s.data.startswith(EXIF_START)), None)
    return b"".join((replace(s, data=EXIF_START + block) if s is first else s).written() for s in found)


def with_photoshop(segments: bytes, block: bytes) -> bytes:
    """Segments with other resources of Photoshop in the place of theirs."""
    new = iter([photoshop_segments(block)])
    return b"".join(
        next(new, b"") if s.code == APP13 and s.data.startswith(iptc.PHOTOSHOP_START) else s.written()
        for s in split(segments)
    )


def photoshop_segments(block: bytes) -> bytes:
    """Segments that hold Photoshop's resources."""
    room = SEGMENT_BYTES - len(iptc.PHOTOSHOP_START)
    pieces = (block[at : at + room] for at in range(0, len(block), room))
    return b"".join(Segment(APP13, iptc.PHOTOSHOP_START + piece, 0).written() for piece in pieces)


def with_packet(segments: bytes, packet: bytes) -> bytes:
    """Segments with another XMP packet in the place of the first one, and of what extends it."""
    new = iter([packet_segments(packet)])
    written = []
    for segment in split(segments):
        if segment.code == APP1 and segment.data.startswith(xmp.JPEG_START):
            written.append(next(new, segment.written()))
        elif not (segment.code == APP1 and segment.data.startswith(xmp.JPEG_EXTENSION)):
            written.append(segment.written())
    return b"".join(written) + next(new, b"")


def packet_segments(packet: bytes) -> bytes:
    """Segments that hold an XMP packet of any length."""
    if len(packet) <= SEGMENT_BYTES - len(xmp.JPEG_START):
        return Segment(APP1, xmp.JPEG_START + packet, 0).written()
    return extended_xmp(packet, hashlib.md5(packet, usedforsecurity=False).hexdigest().upper().encode())


def extended_xmp(packet: bytes, guid: bytes) -> bytes:
    """Segments that hold a packet too long for one: a short packet that names the long one, and its pieces."""
    short = (
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{xmp.RDF}"><rdf:Description rdf:about="" '
        f'xmlns:xmpNote="{xmp.NOTE}" xmpNote:HasExtendedXMP="{guid.decode()}"/></rdf:RDF></x:xmpmeta>'
    )
    pieces = [Segment(APP1, xmp.JPEG_START + short.encode(), 0)]
    for at in range(0, len(packet), 65_000):
        head = xmp.JPEG_EXTENSION + guid + struct.pack(">II", len(packet), at)
        pieces.append(Segment(APP1, head + packet[at : at + 65_000], 0))
    return b"".join(piece.written() for piece in pieces)
