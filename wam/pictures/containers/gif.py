"""GIF files block by block (GIF89a specification), and what follows their end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from wam.pictures.containers.parts import CREDENTIALS, ICC, XMP, Part, appended, comment, shared, text

_LOOPS = (b"NETSCAPE2.0", b"ANIMEXTS1.0")
_XMP = b"XMP DataXMP"
_ICC = b"ICCRGBG1012"
_C2PA = b"C2PA_GIF"
_MAGIC = b"\1" + bytes(range(255, -1, -1)) + b"\0"  # ends an XMP packet (XMP part 3, section 1.1.2)


def _blocks(content: bytes) -> Iterator[tuple[int, bytes, int]]:
    """Label, content without the lengths of its pieces, and start of each extension; label 0 for the file's end."""
    at = 13 + _table(content[10])
    while at < len(content):
        if content[at] == 0x3B:
            yield 0, b"", at + 1
            return
        if content[at] == 0x2C and at + 10 < len(content):
            at = _pieces(content, at + 11 + _table(content[at + 9]))[1]
        elif content[at] == 0x21:
            data, end = _pieces(content, at + 2)
            yield content[at + 1], data, at
            at = end
        else:
            return


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
    return next((content[at:] for label, _, at in _blocks(content) if label == 0), b"")


def extensions(content: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """Name and content of each application extension but those that count loops."""
    found = []
    for label, data, at in _blocks(content):
        if label != 0xFF or data[:11] in _LOOPS:
            continue
        if data.startswith(_XMP):  # not in pieces, but as it is
            end = content.find(_MAGIC[:4], at)
            data = _XMP + content[at + 14 : end if end > 0 else len(content)]
        found.append((data[:11], data[11:]))
    return tuple(found)


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
    for label, data, _ in _blocks(content):
        if label == 0xFE:
            yield text("Comment", comment(data))
        elif label not in (0, 0xFF, 0xF9):
            yield Part(f"GIF label {label:#x}", "GIF plain text" if label == 1 else f"GIF extension {label:#x}", data)
    yield from appended(after_end(content))


def xmp_of(content: bytes) -> bytes | None:
    """The XMP packet of a file."""
    return next((data for name, data in extensions(content) if name == _XMP), None)


def unknown(content: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """The application extensions that stay in a file saved again as they are."""
    return tuple((n, d) for n, d in extensions(content) if n != _XMP and not n.startswith(_C2PA))


def with_extensions(content: bytes, more: Sequence[tuple[bytes, bytes]], packet: bytes | None) -> bytes:
    """The file with application extensions, and an XMP packet, before its first picture."""
    added = b"".join(b"\x21\xff\x0b" + name + _cut(data) for name, data in more)
    if packet:
        added += b"\x21\xff\x0b" + _XMP + packet + _MAGIC
    at = 13 + _table(content[10])
    return (b"GIF89a" + content[6:at] + added + content[at:]) if added else content


def _cut(data: bytes) -> bytes:
    pieces = (data[at : at + 255] for at in range(0, len(data), 255))
    return b"".join(bytes([len(piece)]) + piece for piece in pieces) + b"\0"
