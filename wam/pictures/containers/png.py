"""PNG files chunk by chunk (PNG, third edition, section 11), and what follows their end."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator

from wam.pictures.containers import iptc
from wam.pictures.containers.parts import (
    CREDENTIALS,
    ICC,
    IPTC,
    PHOTOSHOP,
    STORED,
    XMP,
    Part,
    appended,
    of_exif,
    resolution,
    shared,
    text,
)

SIGNATURE = b"\x89PNG\r\n\x1a\n"
XMP_KEYWORD = b"XML:com.adobe.xmp"
_PROFILE = b"Raw profile type "
MOST = 1 << 28  # of a compressed text or profile, in bytes: what is longer is a bomb
# pixels, and how they are stored
_PIXELS = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"hIST", b"acTL", b"fcTL", b"fdAT"})
_WORDS = {
    b"sBIT": "significant bits (sBIT)",
    b"bKGD": "background colour (bKGD)",
    b"gAMA": "gamma (gAMA)",
    b"cHRM": "primaries (cHRM)",
    b"sRGB": "rendering intent (sRGB)",
    b"cICP": "colour codes (cICP)",
    b"mDCV": "mastering display (mDCV)",
    b"cLLI": "light level (cLLI)",
    b"tIME": "time of change (tIME)",
    b"sPLT": "suggested palette (sPLT)",
    b"iDOT": STORED,
    b"caBX": CREDENTIALS,
}


def chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Type and data of each chunk, up to the first incomplete one or the end."""
    for kind, start, size in _places(content):
        yield kind, content[start : start + size]


def _places(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    at = len(SIGNATURE)
    while at + 12 <= len(content):
        length = int.from_bytes(content[at : at + 4], "big")
        if at + 12 + length > len(content):
            return
        kind = content[at + 4 : at + 8]
        yield kind, at + 8, length
        at += 12 + length
        if kind == b"IEND":
            return


def after_end(content: bytes) -> bytes:
    """What follows the IEND chunk."""
    for kind, start, size in _places(content):
        if kind == b"IEND":
            return content[start + size + 4 :]
    return b""


def parts(content: bytes) -> Iterator[Part]:
    """All that a PNG holds beside its picture."""
    for kind, start, size in _places(content):
        if kind == b"PLTE" and content[25] != 3:  # colours of a picture that has all of them
            yield Part("PNG chunk PLTE", "suggested palette (PLTE)", content[start : start + size])
        elif kind not in _PIXELS:
            yield from _of_chunk(kind, content[start : start + size])
    yield from appended(after_end(content))


def _of_chunk(kind: bytes, data: bytes) -> Iterator[Part]:
    letters = kind.decode("latin-1")
    if kind == b"iCCP":
        yield shared(ICC, inflated(data.partition(b"\0")[2][1:]) or data)
    elif kind == b"eXIf":
        yield from of_exif(data.removeprefix(b"Exif\0\0"))
    elif kind == b"pHYs" and len(data) == 9 and data[8] == 1:
        across, down = struct.unpack(">II", data[:8])
        yield resolution(across * 0.0254, down * 0.0254)
    elif kind in (b"tEXt", b"zTXt", b"iTXt"):
        yield from _of_text(kind, data)
    else:
        yield Part(f"PNG chunk {letters}", _WORDS.get(kind, f"PNG chunk {letters}"), data)


def _of_text(kind: bytes, data: bytes) -> Iterator[Part]:
    keyword, value = text_of(kind, data)
    if keyword == XMP_KEYWORD:
        yield shared(XMP, value)
    elif keyword.startswith(_PROFILE):
        yield from _of_raw_profile(keyword.removeprefix(_PROFILE), value)
    else:
        yield text(keyword.decode("latin-1"), value.decode("utf-8" if kind == b"iTXt" else "latin-1", "replace"))


def text_of(kind: bytes, data: bytes) -> tuple[bytes, bytes]:
    """Keyword and value of a text chunk, decompressed."""
    keyword, _, rest = data.partition(b"\0")
    if kind == b"tEXt":
        return keyword, rest
    if kind == b"zTXt":
        return keyword, inflated(rest[1:]) or rest
    value = rest[2:].split(b"\0", 2)[-1]
    return keyword, (inflated(value) or value) if rest[:1] == b"\1" else value


def inflated(data: bytes) -> bytes | None:
    """Decompressed, None for what is damaged or a bomb."""
    try:
        machine = zlib.decompressobj()
        found = machine.decompress(data, MOST)
        return found if not machine.unconsumed_tail else None
    except zlib.error:
        return None


def _of_raw_profile(name: bytes, value: bytes) -> Iterator[Part]:
    """A profile as ImageMagick writes it: a name, a length and hexadecimal digits."""
    data = raw_profile(value)
    if data is None:
        yield text(f"Raw profile type {name.decode('latin-1')}", value.decode("latin-1"))
    elif name in (b"exif", b"APP1") and data.startswith(b"Exif\0\0"):
        yield from of_exif(data.removeprefix(b"Exif\0\0"))
    elif name == b"xmp":
        yield shared(XMP, data)
    elif name in (b"icc", b"icm"):
        yield shared(ICC, data)
    elif name in (b"iptc", b"8bim"):
        block = data.removeprefix(iptc.PHOTOSHOP_START)
        found = block if block.startswith(b"\x1c") else iptc.iptc_of(block)
        if found:
            yield shared(IPTC, found)
        if iptc.others_of(block) and not block.startswith(b"\x1c"):
            yield shared(PHOTOSHOP, iptc.others_of(block))
        if iptc.has_thumbnail(block):
            yield Part("Photoshop thumbnail", "Photoshop thumbnail", b"")
    else:
        yield Part(f"raw profile {name.decode('latin-1')}", f"profile {name.decode('latin-1')}", data)


def is_xmp(kind: bytes, data: bytes) -> bool:
    """Whether a chunk holds an XMP packet."""
    if kind not in (b"tEXt", b"zTXt", b"iTXt"):
        return False
    keyword = data.partition(b"\0")[0]
    return keyword in (XMP_KEYWORD, b"Raw profile type xmp")


def xmp_chunk(packet: bytes) -> tuple[bytes, bytes]:
    """An XMP packet as a chunk (XMP part 3, section 1.1.5)."""
    return b"iTXt", XMP_KEYWORD + bytes(5) + packet


def with_photoshop(kind: bytes, data: bytes, change: Callable[[bytes], bytes]) -> tuple[bytes, bytes]:
    """A chunk with other resources of Photoshop, if it has any, in the place of its own."""
    if kind not in (b"tEXt", b"zTXt", b"iTXt") or not data.startswith((_PROFILE + b"8bim\0", _PROFILE + b"iptc\0")):
        return kind, data
    keyword, value = text_of(kind, data)
    old = raw_profile(value) or b""
    start = iptc.PHOTOSHOP_START if old.startswith(iptc.PHOTOSHOP_START) else b""
    new = start + change(old.removeprefix(start))
    return (kind, data) if new == old else raw_profile_chunk(keyword.removeprefix(_PROFILE).decode(), new)[:2]


def raw_profile(value: bytes) -> bytes | None:
    """The bytes of such a profile; None for what is none."""
    lines = value.strip().split(b"\n")
    try:
        return bytes.fromhex(b"".join(lines[2:]).decode("ascii"))
    except ValueError:
        return None


def raw_profile_chunk(name: str, data: bytes) -> tuple[bytes, bytes, bool]:
    """The same as a chunk."""
    digits = data.hex()
    rows = "\n".join(digits[at : at + 72] for at in range(0, len(digits), 72))
    written = f"\n{name}\n{len(data):8d}\n{rows}\n".encode()
    return b"zTXt", f"Raw profile type {name}".encode() + b"\0\0" + zlib.compress(written), False
