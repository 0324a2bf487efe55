"""GIF files block by block (GIF89a specification), and what follows their end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from wam.pictures.containers.parts import CREDENTIALS, ICC, XMP, Part, appended, comment, shared, text

_END, _PICTURE, _PLAIN_TEXT, _CONTROL, _COMMENT, _APPLICATION = 0x3B, 0x2C, 0x01, 0xF9, 0xFE, 0xFF
_LOOPS = (b"NETSCAPE2.0", b"ANIMEXTS1.0")
_XMP = b"XMP DataXMP"
_ICC = b"ICCRGBG1012"
_C2PA = b"C2PA_GIF"
_MAGIC = b"\1" + bytes(range(255, -1, -1)) + b"\0"  # ends an XMP packet (XMP part 3, section 1.1.2)


@dataclass(frozen=True)
class _Block:
    """``label`` of an extension, or what else it is; its content without the lengths of its pieces; where it stands."""

    label: int
    data: bytes
    start: int
    end: int


def _blocks(content: bytes) -> Iterator[_Block]:
    """Each extension, picture and the end of a file."""
    at = 13 + _table(content[10])
    while at < len(content):
        if content[at] == _END:
            yield _Block(_END, b"", at, at + 1)
            return
        if content[at] == _PICTURE and at + 10 < len(content):
            end = _pieces(content, at + 11 + _table(content[at + 9]))[1]
            yield _Block(_PICTURE, b"", at, end)
        elif content[at] == 0x21 and at + 2 < len(content):
            data, end = _pieces(content, at + 2)
            yield _Block(content[at + 1], data, at, end)
        else:
            return
        at = end


def _table(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _pieces(content: bytes, at: int) -> tuple[bytes, int]:
    pieces = []
    while at < len(content) and content[at]:
        pieces.append(content[at + 1 : at + 1 + content[at]])
        at += 1 + content[at]
    return b"".join(pieces), at + 1


def after_end(content: bytes) -> bytes:
    """What follows the end of the file."""
    return next((content[block.end :] for block in _blocks(content) if block.label == _END), b"")


def aspect_of(content: bytes) -> int:
    """The pixels' sides as the header states them, 0 for none."""
    return content[12]


def extensions(content: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """Name and content of each application extension but those that count loops."""
    found = []
    for block in _blocks(content):
        if block.label != _APPLICATION or _counts_loops(block):
            continue
        data = block.data
        if data.startswith(_XMP):  # not in pieces, but as it is
            end = content.find(_MAGIC[:4], block.start)
            data = _XMP + content[block.start + 14 : end if end > 0 else len(content)]
        found.append((data[:11], data[11:]))
    return tuple(found)


def _counts_loops(block: _Block) -> bool:
    return block.label == _APPLICATION and block.data[:11] in _LOOPS and block.data[11:12] in (b"", b"\1")


def parts(content: bytes) -> Iterator[Part]:
    """All that a GIF holds beside its pictures."""
    for name, data in extensions(content):
        if name == _XMP:
            yield shared(XMP, data)
        elif name == _ICC:
            yield Part(ICC, "ICC profile", data)
        else:
            words = name.decode("latin-1").strip("\0 ")
            words = words if words.isprintable() else name.hex()
            title = CREDENTIALS if name.startswith(_C2PA) else f"GIF application extension {words}"
            yield Part(f"GIF extension {name.hex()}", title, data)
    for block in _blocks(content):
        if block.label == _COMMENT:
            yield text("Comment", comment(block.data))
        elif block.label not in (_END, _PICTURE, _APPLICATION, _CONTROL):
            said = "GIF plain text" if block.label == _PLAIN_TEXT else f"GIF extension {block.label:#x}"
            yield Part(f"GIF label {block.label:#x}", said, block.data)
    if aspect_of(content):
        yield Part("GIF aspect", "pixel aspect ratio", content[12:13])
    yield from appended(after_end(content))


def xmp_of(content: bytes) -> bytes | None:
    """The XMP packet of a file."""
    return next((data for name, data in extensions(content) if name == _XMP), None)


def kept(content: bytes) -> tuple[bytes, ...]:
    """The extensions, whole, that stay in a file saved again: not XMP and what signs or draws; loops of a still."""
    found = list(_blocks(content))
    animated = sum(block.label == _PICTURE for block in found) > 1
    return tuple(
        content[block.start : block.end]
        for block in found
        if block.label not in (_END, _PICTURE, _CONTROL, _PLAIN_TEXT)
        and not block.data.startswith((_XMP, _C2PA))
        and not (animated and _counts_loops(block))
    )


def comment_of(data: bytes) -> bytes:
    """A comment extension."""
    pieces = (data[at : at + 255] for at in range(0, len(data), 255))
    return bytes([0x21, _COMMENT]) + b"".join(bytes([len(piece)]) + piece for piece in pieces) + b"\0"


def with_extensions(content: bytes, more: Sequence[bytes], packet: bytes | None, *, aspect: int = 0) -> bytes:
    """The file with extensions, and an XMP packet, before its first picture."""
    added = b"".join(more)
    if packet:
        added += b"\x21\xff\x0b" + _XMP + packet + _MAGIC
    if not added and not aspect:
        return content
    at = 13 + _table(content[10])
    return b"GIF89a" + content[6:12] + bytes([aspect]) + content[13:at] + added + content[at:]
