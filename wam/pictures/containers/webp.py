"""WebP files chunk by chunk (RFC 9649, section 2), and what follows their end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from wam.pictures.containers.parts import CREDENTIALS, ICC, XMP, Part, appended, of_exif, shared

_PIXELS = frozenset({b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF"})
_SHARED = {b"ICCP": ICC, b"XMP ": XMP}


def chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Type, place and size of the data of each chunk, up to the first that does not end inside the file."""
    yield from _between(content, 12, min(len(content), 8 + int.from_bytes(content[4:8], "little")))


def _between(content: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    while at + 8 <= end:
        size = int.from_bytes(content[at + 4 : at + 8], "little")
        if at + 8 + size > len(content):
            return
        yield content[at : at + 4], at + 8, size
        at += 8 + size + size % 2


def after_end(content: bytes) -> bytes:
    """What follows the end that the header states."""
    size = 8 + int.from_bytes(content[4:8], "little")
    return content[size + size % 2 :]


def unknown(content: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """Type and data of the chunks that the standard does not know, and of a second one of those it knows one of."""
    known, single = {*_PIXELS, b"C2PA"}, {*_SHARED, b"EXIF"}
    found = []
    for kind, at, size in chunks(content):
        if kind in single:
            single.remove(kind)
        elif kind not in known:
            found.append((kind, content[at : at + size]))
    return tuple(found)


def parts(content: bytes) -> Iterator[Part]:
    """All that a WebP holds beside its picture."""
    for kind, at, size in chunks(content):
        data = content[at : at + size]
        if kind == b"EXIF":
            yield from of_exif(data.removeprefix(b"Exif\0\0"))
        elif kind in _SHARED:
            yield shared(_SHARED[kind], data)
        elif kind == b"ANMF":
            yield from _of_frame(content, at + 16, at + size)
        elif kind == b"ANIM" and data[:4].strip(b"\0") and data[:4] != b"\xff\xff\xff\xff":
            yield Part("background", "background colour", data[:4])
        elif kind not in _PIXELS:
            letters = kind.decode("latin-1")
            yield Part(f"WebP chunk {letters}", CREDENTIALS if kind == b"C2PA" else f"WebP chunk {letters}", data)
    yield from appended(after_end(content))


def _of_frame(content: bytes, start: int, end: int) -> Iterator[Part]:
    """What stands in a frame of an animation beside its picture; frames are written anew."""
    for kind, at, size in _between(content, start, end):
        if kind not in _PIXELS:
            letters = kind.decode("latin-1")
            yield Part(f"frame chunk {letters}", f"WebP chunk {letters} of a frame", content[at : at + size])


def with_chunks(content: bytes, more: Sequence[tuple[bytes, bytes]], size: tuple[int, int]) -> bytes:
    """The file with more chunks at its end, in the extended form, which alone may have them; ``size`` in pixels."""
    if not more:
        return content
    body = content[12:]
    if body[:4] != b"VP8X":
        alpha = 0x10 if body[:4] == b"VP8L" and body[12] & 0x10 else 0
        sides = b"".join((side - 1).to_bytes(3, "little") for side in size)
        body = b"VP8X" + (10).to_bytes(4, "little") + bytes([alpha, 0, 0, 0]) + sides + body
    for kind, data in more:
        body += kind + len(data).to_bytes(4, "little") + data + bytes(len(data) % 2)
    return b"RIFF" + (len(body) + 4).to_bytes(4, "little") + b"WEBP" + body
