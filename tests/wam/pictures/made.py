"""Files of every container with a part of every kind put into them by hand, for tests of what is kept or said."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from typing import Any

from PIL import Image, TiffImagePlugin

from tests.wam.pictures.pictures import SRGB, sample, saved
from wam.pictures.formats import heif_works

CREDENTIALS = "content credentials (C2PA)"
VIDEO = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(range(256)) * 8
C2PA_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
PACKET = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" dc:format="made"/>'
    b"</rdf:RDF></x:xmpmeta>"
)
MOTION = PACKET.replace(
    b' dc:format="made"',
    b' xmlns:GCamera="http://ns.google.com/photos/1.0/camera/" GCamera:MotionPhoto="1" dc:format="made"',
)
LONG = PACKET.replace(b'dc:format="made"', b'dc:format="' + b"long edit history " * 6000 + b'"')
NOTE = b"IMG:CAMERA X JPEG\0"


def plain(format: str) -> bytes:
    """A small picture without anything else."""
    heif_works()  # registers the plugin
    options: dict[str, Any] = {"JPEG": {"quality": 92}, "WEBP": {"lossless": True}}.get(format, {})
    return saved(sample("P" if format == "GIF" else "RGB"), format, **options)


def segment(code: int, data: bytes) -> bytes:
    """A JPEG segment."""
    return struct.pack(">BBH", 0xFF, code, len(data) + 2) + data


def chunk(kind: bytes, data: bytes) -> bytes:
    """A PNG chunk."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def box(kind: bytes, data: bytes) -> bytes:
    """A box of AVIF or HEIC."""
    return struct.pack(">I4s", len(data) + 8, kind) + data


def riff(content: bytes, kind: bytes, data: bytes) -> bytes:
    """A WebP with one more chunk, in the extended form."""
    body = content[12:]
    if body[:4] != b"VP8X":
        width, height = Image.open(io.BytesIO(content)).size
        sides = b"".join((side - 1).to_bytes(3, "little") for side in (width, height))
        body = b"VP8X" + struct.pack("<I", 10) + bytes(4) + sides + body
    body += kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def gif_extension(content: bytes, head: bytes, data: bytes) -> bytes:
    """A GIF with an extension before its first picture; ``head`` is its label and, of an application, its name."""
    at = 13 + (3 << (content[10] & 7) + 1 if content[10] & 0x80 else 0)
    pieces = b"".join(bytes([len(data[i : i + 255])]) + data[i : i + 255] for i in range(0, len(data), 255))
    return b"GIF89a" + content[6:at] + b"\x21" + head + pieces + b"\0" + content[at:]


def tiff(tags: dict[int, tuple[int, Any]]) -> bytes:
    """A TIFF with more tags, each with its type and value."""
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, (kind, value) in tags.items():
        directory.tagtype[tag] = kind
        directory[tag] = value
    return saved(sample("RGB"), "TIFF", tiffinfo=directory)


def bmp_with_profile(profile: bytes) -> bytes:
    """A BMP whose header is of the fifth version and states a profile behind the pixels."""
    content = plain("BMP")
    start = int.from_bytes(content[10:14], "little") + 84
    stated = bytes(16) + b"DEBM" + bytes(48) + struct.pack("<IIII", 4, len(content) - 14 + 84, len(profile), 0)
    head = b"BM" + struct.pack("<IHHI", len(content) + 84 + len(profile), 0, 0, start)
    return head + struct.pack("<I", 124) + content[18:54] + stated + content[54:] + profile


def unknown(format: str, letters: bytes, data: bytes) -> bytes:
    """A file with a part that no standard knows, named by four letters."""
    content = plain(format)
    if format == "JPEG":
        return content[:2] + segment(0xE4 + letters[0] % 6, letters + b"\0" + data) + content[2:]
    if format == "PNG":
        return (
            content[:33]
            + chunk(letters[:1].lower() + letters[1:2].lower() + b"Q" + letters[3:].lower(), data)
            + content[33:]
        )
    if format == "WEBP":
        return riff(content, letters.upper(), data)
    if format == "TIFF":
        return tiff({50_000 + letters[0] * 40: (7, letters + data)})
    if format == "GIF":
        return gif_extension(content, b"\xff\x0b" + (letters * 3)[:11], data)
    if format == "BMP":
        return content + letters + data
    return content + box(letters, data)


def appended(format: str, data: bytes) -> bytes:
    """A file with data after its end."""
    return plain(format) + data


def signed(format: str) -> bytes:
    """A file with content credentials where its format has them (C2PA 2.1, appendix A)."""
    content, manifest = plain(format), b"\0\0\0\x30jumb\0\0\0\x28jumdc2pa" + b"manifest" * 4
    if format == "JPEG":
        return content[:2] + segment(0xEB, b"JP\0\1\0\0\0\1" + manifest) + content[2:]
    if format == "PNG":
        return content[:33] + chunk(b"caBX", manifest) + content[33:]
    if format == "WEBP":
        return riff(content, b"C2PA", manifest)
    if format == "TIFF":
        return tiff({52545: (7, manifest)})
    if format == "GIF":
        return gif_extension(content, b"\xff\x0bC2PA_GIF\1\0\0", manifest)
    head = int.from_bytes(content[:4], "big")
    return content[:head] + _moved(content[head:], box(b"uuid", C2PA_UUID + bytes(4) + b"manifest\0" + manifest))


def _moved(rest: bytes, added: bytes) -> bytes:
    """A box put before the items, whose places move on by its length."""
    at = rest.index(b"iloc") + 4
    changed = bytearray(rest)
    start = at + (12 if rest[at + 5] >> 4 else 14)  # the item's base, else its only extent
    struct.pack_into(">I", changed, start, struct.unpack_from(">I", rest, start)[0] + len(added))
    return added + bytes(changed)


def camera_exif(*, thumbnail: bytes = b"", orientation: int = 1, order: str = "<") -> bytes:
    """An EXIF block as a camera writes it: the text of its maker note is found by an offset from the block's start."""
    ifd, make = 8, b"Canon\0"
    exif_ifd = ifd + 2 + 12 * 3 + 4 + len(make)
    note = exif_ifd + 2 + 12 + 4
    text = note + 2 + 12 + 4
    maker = struct.pack(f"{order}HHHIII", 1, 6, 2, len(NOTE), text, 0) + NOTE
    after = note + len(maker)
    first = struct.pack(f"{order}H", 3) + struct.pack(f"{order}HHII", 271, 2, len(make), exif_ifd - len(make))
    first += struct.pack(f"{order}HHIHH", 274, 3, 1, orientation, 0) + struct.pack(
        f"{order}HHII", 34665, 4, 1, exif_ifd
    )
    first += struct.pack(f"{order}I", after if thumbnail else 0) + make
    second = struct.pack(f"{order}HHHIII", 1, 37500, 7, len(maker), note, 0)
    third = b""
    if thumbnail:
        third = struct.pack(f"{order}HHHIIHHIII", 2, 513, 4, 1, after + 30, 514, 4, 1, len(thumbnail), 0) + thumbnail
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    return head + first + second + maker + third


def small(width: int = 160, height: int = 107) -> bytes:
    """A thumbnail."""
    return saved(sample("RGB").resize((width, height)), "JPEG", quality=80)


def iptc() -> bytes:
    """IPTC-IIM data sets: by-line, copyright, caption."""
    sets = ((80, b"A. Person"), (116, b"(c) Agency"), (120, b"a caption"))
    return b"".join(struct.pack(">BBBH", 0x1C, 2, number, len(text)) + text for number, text in sets)


def resources(data: bytes) -> bytes:
    """Photoshop's image resources with IPTC and another one."""
    other = b"8BIM" + struct.pack(">HBBI", 0x03ED, 0, 0, 4) + b"\1\2\3\4"
    return b"8BIM" + struct.pack(">HBBI", 0x0404, 0, 0, len(data)) + data + bytes(len(data) % 2) + other


def extended_xmp() -> bytes:
    """JPEG segments of a packet longer than one."""
    guid = hashlib.md5(LONG).hexdigest().upper().encode()
    short = PACKET.replace(
        b' dc:format="made"',
        b' xmlns:xmpNote="http://ns.adobe.com/xmp/note/" xmpNote:HasExtendedXMP="' + guid + b'"',
    )
    pieces = [segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + short)]
    for at in range(0, len(LONG), 60_000):
        head = b"http://ns.adobe.com/xmp/extension/\0" + guid + struct.pack(">II", len(LONG), at)
        pieces.append(segment(0xE1, head + LONG[at : at + 60_000]))
    return b"".join(pieces)


def rich_jpeg(*, orientation: int = 1) -> bytes:
    """A JPEG with all that a camera and an agency put into one."""
    content = saved(sample("RGB"), "JPEG", quality=92, icc_profile=SRGB, comment=b"a comment", dpi=(300, 300))
    exif = segment(0xE1, b"Exif\0\0" + camera_exif(thumbnail=small(), orientation=orientation))
    photoshop = segment(0xED, b"Photoshop 3.0\0" + resources(iptc()))
    return content[:2] + exif + photoshop + extended_xmp() + content[2:] + VIDEO
