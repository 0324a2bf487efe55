"""BMP files: the header's colour space and profile, and what follows the pixels (Microsoft, BITMAPV5HEADER)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from wam.pictures.containers.parts import ICC, Part, appended, resolution, shared

_V4, _V5 = 108, 124  # sizes of the headers that state a colour space
_EMBEDDED, _LINKED = b"DEBM", b"KNIL"  # PROFILE_EMBEDDED and PROFILE_LINKED, little-endian


def _header(content: bytes) -> int:
    return int.from_bytes(content[14:18], "little")


def _profile(content: bytes) -> tuple[bytes, int, int]:
    """Kind of colour space, place and size of the profile of a V5 header."""
    if _header(content) < _V5 or len(content) < 14 + _V5:
        return b"", 0, 0
    start, size = struct.unpack_from("<II", content, 14 + 112)
    return content[70:74], 14 + start, size


def profile_of(content: bytes) -> bytes | None:
    """The ICC profile that a file holds."""
    kind, start, size = _profile(content)
    found = content[start : start + size] if kind == _EMBEDDED else b""
    return found if size and len(found) == size else None


def _end_of_pixels(content: bytes) -> int:
    if _header(content) < 40:
        width, height, _, bits = struct.unpack_from("<HHHH", content, 18)
        compression = size = 0
    else:
        width, height = struct.unpack_from("<ii", content, 18)
        (bits,) = struct.unpack_from("<H", content, 28)
        compression, size = struct.unpack_from("<II", content, 30)
    row = (abs(width) * bits + 31) // 32 * 4
    length = row * abs(height) if compression in (0, 3, 6) else size
    return int.from_bytes(content[10:14], "little") + int(length)


def _end_of_header(content: bytes) -> int:
    """Where masks and palette end."""
    size = _header(content)
    bits = int.from_bytes(content[24:26] if size < 40 else content[28:30], "little")
    if size < 40:
        return 14 + size + (3 << bits if bits <= 8 else 0)
    compression, used = (int.from_bytes(content[at : at + 4], "little") for at in (30, 46))
    masks = {3: 12, 6: 16}.get(compression, 0) if size == 40 else 0
    return 14 + size + masks + 4 * (min(used or 1 << bits, 1 << bits) if bits <= 8 else used)


def _gaps(content: bytes) -> bytes:
    """What stands before the pixels, or between them and a profile, and is neither."""
    start = int.from_bytes(content[10:14], "little")
    _, profile, size = _profile(content)
    between = content[_end_of_pixels(content) : profile] if size else b""
    return content[_end_of_header(content) : start] + between


def after_end(content: bytes) -> bytes:
    """What follows the pixels and the profile."""
    _, start, size = _profile(content)
    return content[max(_end_of_pixels(content), start + size) :]


def parts(content: bytes) -> Iterator[Part]:
    """All that a BMP holds beside its picture."""
    if _gaps(content).strip(b"\0"):
        yield Part("BMP gap", "data around the pixels", _gaps(content))
    yield from appended(after_end(content))
    if _header(content) < 40 or len(content) < 54:
        return
    across, down = struct.unpack_from("<ii", content, 38)
    if min(across, down) > 1:
        yield resolution(across * 0.0254, down * 0.0254)
    profile = profile_of(content)
    if profile:
        yield shared(ICC, profile)
    kind, start, size = _profile(content)
    if kind == _LINKED:
        yield Part("linked profile", "link to an ICC profile", content[start : start + size])
    if _header(content) >= _V4 and content[70:74] == bytes(4):
        yield Part("BMP colour space", "primaries and gamma of the header", content[74:122])
    if _fourth_byte(content):
        yield Part("fourth byte", "fourth byte of each pixel", b"")


def _fourth_byte(content: bytes) -> bool:
    """Whether a file of 32 bits without masks, whose fourth byte viewers ignore, has something there."""
    start = int.from_bytes(content[10:14], "little")
    bits, compression = struct.unpack_from("<HI", content, 28)
    pixels = content[start + 3 : _end_of_pixels(content) : 4]
    return (bits, compression) == (32, 0) and bool(pixels.strip(b"\0"))


def with_profile(content: bytes, profile: bytes | None) -> bytes:
    """A file of Pillow's with a profile: its header becomes one of the fifth version."""
    if profile is None or _header(content) != 40:
        return content
    start = int.from_bytes(content[10:14], "little")
    wider = _V5 - 40
    stated = bytes(16) + _EMBEDDED + bytes(48) + struct.pack("<IIII", 4, len(content) - 14 + wider, len(profile), 0)
    head = content[:2] + struct.pack("<IHHI", len(content) + wider + len(profile), 0, 0, start + wider)
    return head + struct.pack("<I", _V5) + content[18:54] + stated + content[54:] + profile
