"""TIFF files tag by tag (TIFF 6.0, section 2; BigTIFF), and EXIF blocks made of them and put into them.

An EXIF block is a TIFF without pixels. A TIFF that carries one starts with the whole block as it is, so that every
offset inside it, those of maker notes above all, stays true; pixels and the first directory follow.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence

from wam.pictures.containers import exif, iptc
from wam.pictures.containers.exif import Directory, Entry
from wam.pictures.containers.parts import (
    CREDENTIALS,
    FURTHER,
    ICC,
    IPTC,
    PHOTOSHOP,
    XMP,
    Part,
    of_exif,
    resolution,
    shared,
)

XMP_TAG, IPTC_TAG, PHOTOSHOP_TAG, ICC_TAG, SUB_FILES, C2PA_TAG = 700, 33723, 34377, 34675, 330, 52545
LAYERS, PAGE_NUMBER = 37724, 297
# not in EXIF blocks: what has a place of its own, other pictures, and what describes or signs the old pixels
_APART = frozenset({XMP_TAG, IPTC_TAG, PHOTOSHOP_TAG, ICC_TAG, SUB_FILES, C2PA_TAG, LAYERS, PAGE_NUMBER})
_COLOURS = {0: 1, 1: 1, 3: 1, 5: 4}  # samples of a pixel by photometric interpretation, of others 3
_MOST_PAGES = 4096
_RESOLUTION = (282, 283)
_OF_SAMPLES = {301: "transfer function (TIFF tag 301)", 342: "transfer range (TIFF tag 342)"}
_PIN_LIMIT = 1 << 16  # maker notes that start below keep their place in a block of their own, in bytes


def pages(content: bytes) -> list[tuple[int, Directory]]:
    """Place and directory of each page; a file whose pages follow one another in a circle has each once."""
    found: dict[int, Directory] = {}
    at = exif.first_directory(content)
    while at and at not in found and len(found) < _MOST_PAGES:
        try:
            found[at] = exif.read_directory(content, at)
        except struct.error:
            break
        at = found[at].next
    return list(found.items())


def _is_reduced(content: bytes, page: Directory) -> bool:
    """Whether a page shows another one smaller (tag 254, bit 0, or 255 of value 2)."""
    kinds = [exif.number(content, page.entries[tag]) if tag in page.entries else 0 for tag in (254, 255)]
    return bool(kinds[0] & 1) or kinds[1] == 2


def from_picture(content: bytes) -> bytes:
    """The file so that its first page is the picture: where all others but one are thumbnails, that one."""
    found = pages(content)
    whole = [at for at, page in found if not _is_reduced(content, page)]
    if len(whole) != 1 or whole[0] == found[0][0]:
        return content
    order, start, code = exif.byte_order(content), *((8, "Q") if exif.is_big(content) else (4, "I"))
    changed = struct.pack(order + code, whole[0])
    return content[:start] + changed + content[start + len(changed) :]


def first_page(content: bytes) -> Directory:
    """The directory of the first page."""
    return exif.read_directory(content, exif.first_directory(content))


def parts(content: bytes) -> Iterator[Part]:
    """All that a TIFF holds beside the pixels of its picture."""
    found = pages(content)
    if len(found) > 1:
        thumbnails = sum(_is_reduced(content, page) for _, page in found) == len(found) - 1
        yield Part("pages", "thumbnail pages" if thumbnails else "further pages", b"")
    content = from_picture(content)
    page = first_page(content)
    block = exif_block(content)
    if block is not None:
        yield from of_exif(block)
        if moved_notes(content, block):
            yield Part("maker notes", "offsets in maker notes", b"moved")
    for tag, entry in page.entries.items():
        yield from _of_tag(content, tag, entry)
    for entry in page.repeated:
        yield Part(f"repeated tag {entry.tag}", f"first of two TIFF tags {entry.tag}", exif.plain(content, entry))
    yield from _resolution(content, page)
    if _has_extra_channels(content, page):
        yield Part("channels", "extra channels of each pixel", b"")


def _has_extra_channels(content: bytes, page: Directory) -> bool:
    """Whether pixels have more than colour and transparency (tags 277, 262 and 338)."""
    stated = [exif.number(content, page.entries[tag]) if tag in page.entries else 1 for tag in (277, 262)]
    extra = page.entries.get(338)
    alpha = extra is None or exif.number(content, extra) != 0
    return stated[0] > _COLOURS.get(stated[1], 3) + alpha


def _of_tag(content: bytes, tag: int, entry: Entry) -> Iterator[Part]:
    named = {XMP_TAG: XMP, ICC_TAG: ICC, IPTC_TAG: IPTC}
    if tag in named:
        yield shared(named[tag], entry.value)
    elif tag == PHOTOSHOP_TAG:
        if iptc.iptc_of(entry.value):
            yield shared(IPTC, iptc.iptc_of(entry.value) or b"")
        if iptc.others_of(entry.value):
            yield shared(PHOTOSHOP, iptc.others_of(entry.value))
        if iptc.has_thumbnail(entry.value):
            yield Part("Photoshop thumbnail", "Photoshop thumbnail", b"")
    elif tag == SUB_FILES:
        yield Part("sub-files", FURTHER, b"")
    elif tag == C2PA_TAG:
        yield Part("TIFF credentials", CREDENTIALS, entry.value)
    elif tag in _OF_SAMPLES:
        yield Part(f"TIFF tag {tag}", _OF_SAMPLES[tag], exif.plain(content, entry))
    elif tag == LAYERS:
        yield Part("TIFF layers", "Photoshop layers", entry.value)


def _resolution(content: bytes, page: Directory) -> Iterator[Part]:
    values = []
    for tag in _RESOLUTION:
        entry = page.entries.get(tag)
        if entry is None or entry.type != 5 or len(entry.value) < 8:
            return
        above, below = struct.unpack(exif.byte_order(content) + "II", entry.value[:8])
        values.append(above / below if below else 0)
    unit = page.entries.get(296)
    kind = 2 if unit is None else exif.number(content, unit)
    if kind in (2, 3) and min(values) > 1:
        yield resolution(*(value * (2.54 if kind == 3 else 1) for value in values))


def photoshop_of(content: bytes) -> bytes:
    """Photoshop's resources of the first page."""
    entry = first_page(content).entries.get(PHOTOSHOP_TAG)
    return b"" if entry is None else entry.value


def iptc_of(content: bytes) -> bytes | None:
    """The IPTC-IIM data sets of the first page."""
    entry = first_page(content).entries.get(IPTC_TAG)
    return entry.value if entry is not None else iptc.iptc_of(photoshop_of(content))


def exif_block(content: bytes, *, private: bool = True) -> bytes | None:
    """The EXIF block of a TIFF, in its byte order: what describes the picture, and the directories below.

    ``private``: with tags of the first directory that are not EXIF's.
    """
    order = exif.byte_order(content)
    found = exif.known_directories(content)
    left_out = exif.STORAGE | _APART
    first = found["IFD0"].entries.values() if found else ()
    kept = [one for one in first if (one.tag not in left_out if private else one.tag in exif.DESCRIBING)]
    if not kept:
        return None
    block = bytearray(content[:2] + struct.pack(f"{order}HI", 42, 0))
    note = found["Exif"].entries.get(exif.MAKER_NOTE) if "Exif" in found else None
    if note is not None and 8 <= note.at < _PIN_LIMIT and not exif.is_big(content):
        block = block.ljust(note.at, b"\0") + note.value
    pointers: dict[int, int] = {}
    for name, tag in (("Interop", exif.INTEROP_IFD), ("Exif", exif.EXIF_IFD), ("GPS", exif.GPS_IFD)):
        if name in found:
            pointers[tag] = _append(block, order, list(found[name].entries.values()), pointers)
    start = _append(block, order, kept, pointers)
    block[4:8] = struct.pack(f"{order}I", start)
    return bytes(block)


def moved_notes(content: bytes, block: bytes) -> bool:
    """Whether maker notes stand elsewhere in the block than in the file, so that offsets inside them are wrong."""
    before, after = exif.known_directories(content), exif.known_directories(block)
    notes = [found["Exif"].entries.get(exif.MAKER_NOTE) for found in (before, after) if "Exif" in found]
    return len(notes) == 2 and None not in notes and notes[0].at != notes[1].at  # type: ignore[union-attr]


def _append(
    block: bytearray, order: str, entries: Sequence[Entry], pointers: Mapping[int, int], following: int = 0
) -> int:
    """A directory put at the end of a block, values that are there already found in their place; where it starts."""
    rows = []
    for entry in sorted(entries, key=lambda entry: entry.tag):
        kind, count, value = entry.type, entry.count, entry.value
        if entry.tag in exif.POINTERS:
            if entry.tag not in pointers:
                continue
            kind, count, value = 4, 1, struct.pack(f"{order}I", pointers[entry.tag])
        if kind in (16, 17, 18):  # of BigTIFF only
            kind, value = {16: 4, 17: 9, 18: 4}[kind], _narrow(order, value)
        if len(value) > 4:
            at = entry.at
            if block[at : at + len(value)] != value:
                block.extend(bytes(len(block) % 2))
                at = len(block)
                block.extend(value)
            value = struct.pack(f"{order}I", at)
        rows.append(struct.pack(f"{order}HHI", entry.tag, kind, count) + value.ljust(4, b"\0"))
    block.extend(bytes(len(block) % 2))
    start = len(block)
    block.extend(struct.pack(f"{order}H", len(rows)) + b"".join(rows) + struct.pack(f"{order}I", following))
    return start


def _narrow(order: str, value: bytes) -> bytes:
    numbers = struct.unpack(f"{order}{len(value) // 8}Q", value)
    return struct.pack(f"{order}{len(numbers)}I", *(number & 0xFFFFFFFF for number in numbers))


def entry(tag: int, kind: int, count: int, value: bytes) -> Entry:
    """A tag that stands nowhere yet."""
    return Entry(tag, kind, count, value, 0, 0)


def with_value(old: Entry, value: bytes) -> Entry:
    """A tag of bytes with others; the same object where they are no others."""
    return old if value == old.value else entry(old.tag, old.type, len(value), value)


def of_numbers(order: str, tag: int, kind: int, *values: int) -> Entry:
    """A tag of whole numbers: type 3 of 16, 4 of 32 bits."""
    code = {3: "H", 4: "I"}[kind]
    return entry(tag, kind, len(values), struct.pack(f"{order}{len(values)}{code}", *values))


def build(block: bytes | None, order: str, entries: Sequence[Entry], strips: Sequence[bytes]) -> bytes:
    """A TIFF of one page: an EXIF block as it is, then strips of pixels, then the directory of both.

    ``entries``: what the page says besides, in byte order ``order``, which is the block's; those of the block's first
    directory that it does not name are kept, as far as they do not describe storage.
    """
    content = bytearray(block or (b"II*\0" if order == "<" else b"MM\0*") + bytes(4))
    own: dict[int, Entry] = {}
    pointers: dict[int, int] = {}
    if block is not None:
        for tag, found in exif.known_directories(block)["IFD0"].entries.items():
            if tag in exif.POINTERS:
                pointers[tag] = exif.number(block, found)
            if tag not in exif.STORAGE | {SUB_FILES}:
                own[tag] = found
    places = []
    for strip in strips:
        content.extend(bytes(len(content) % 2))
        places.append(len(content))
        content.extend(strip)
    stored = [
        of_numbers(order, 273, 4, *places),
        of_numbers(order, 279, 4, *(len(strip) for strip in strips)),
    ]
    named = {one.tag: one for one in (*own.values(), *entries, *stored)}
    start = _append(content, order, list(named.values()), pointers)
    content[4:8] = struct.pack(f"{order}I", start)
    return bytes(content)
