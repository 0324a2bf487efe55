"""EXIF blocks: a TIFF structure without pixels, read entry by entry and changed in place.

Nothing is moved: maker notes hold offsets from the block's start, which a rebuilt block would break.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

EXIF_IFD, GPS_IFD, INTEROP_IFD, MAKER_NOTE = 34665, 34853, 40965, 37500
THUMBNAIL_AT, THUMBNAIL_BYTES = 513, 514
ORIENTATION, PIXELS_ACROSS, PIXELS_DOWN = 274, 40962, 40963
POINTERS = frozenset({EXIF_IFD, GPS_IFD, INTEROP_IFD})
# tags of a first directory that say something about the picture rather than how a file stores it
DESCRIBING = frozenset(
    {269, 270, 271, 272, 274, 282, 283, 285, 296, 305, 306, 315, 316, 318, 319, 33432}
    | {34665, 34853, 18246, 18249, 36867, 36868, 40091, 40092, 40093, 40094, 40095}
)
# how pixels are stored: written anew
STORAGE = frozenset(
    {254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 277, 278, 279, 280, 281, 284, 288, 289, 290, 291, 292}
    | {293, 301, 317, 320, 322, 323, 324, 325, 326, 327, 328, 332, 334, 336, 338, 339, 340, 341, 342, 347}
    | {*range(512, 522), 529, 530, 531, 532, 559, 50674}
)
# may change: the turn, sides that change places with it, and the resolution, which is a part of its own
_FREE = frozenset({274, 40962, 40963, 282, 283, 296})
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_UNITS = {3: 2, 4: 4, 5: 4, 8: 2, 9: 4, 10: 4, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}  # that byte order turns round
_MOST = 4096  # entries of a directory that are looked at


@dataclass(frozen=True)
class Entry:
    """One tag: TIFF type, count, its value as stored, where the value and the entry itself stand."""

    tag: int
    type: int
    count: int
    value: bytes
    at: int
    place: int


@dataclass(frozen=True)
class Directory:
    """The entries of one directory by tag, where the next one stands, 0 for none, and entries whose tag comes again."""

    entries: dict[int, Entry]
    next: int
    next_place: int
    repeated: tuple[Entry, ...] = ()


def byte_order(block: bytes) -> str:
    """``<`` or ``>``; raises ``ValueError`` for what is no TIFF structure."""
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None or len(block) < 8:
        raise ValueError("expected a TIFF structure, found another, leave it as it is")
    return order


def is_big(block: bytes) -> bool:
    """Whether it is a BigTIFF, with offsets of 64 bits."""
    return block[2:4] in (b"+\0", b"\0+")


def first_directory(block: bytes) -> int:
    """Where the first directory stands."""
    order = byte_order(block)
    return int(struct.unpack_from(f"{order}Q" if is_big(block) else f"{order}I", block, 8 if is_big(block) else 4)[0])


def read_directory(block: bytes, at: int) -> Directory:
    """The directory at a place; entries whose value lies outside the block are left out."""
    order, big = byte_order(block), is_big(block)
    width, head, word = (20, 8, "Q") if big else (12, 2, "I")
    inline = 8 if big else 4
    (count,) = struct.unpack_from(f"{order}{'Q' if big else 'H'}", block, at)
    entries: dict[int, Entry] = {}
    repeated = []
    for number in range(min(count, _MOST)):
        place = at + head + width * number
        tag, kind, amount = struct.unpack_from(f"{order}HH{word}", block, place)
        size = SIZES.get(kind, 1) * amount
        where = place + width - inline
        if size > inline:
            (where,) = struct.unpack_from(f"{order}{word}", block, where)
        if where + size <= len(block):
            if tag in entries:
                repeated.append(entries[tag])
            entries[tag] = Entry(tag, kind, amount, block[where : where + size], where, place)
    next_place = at + head + width * count
    following = 0
    if next_place + inline <= len(block):
        (following,) = struct.unpack_from(f"{order}{word}", block, next_place)
    return Directory(entries, following, next_place, tuple(repeated))


def number(block: bytes, entry: Entry) -> int:
    """The first value of an entry of whole numbers."""
    codes = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
    if entry.type not in codes or not entry.count:
        raise ValueError(f"expected a whole number, found type {entry.type}, leave it as it is")
    return int(struct.unpack_from(byte_order(block) + codes[entry.type], entry.value)[0])


def directories(block: bytes) -> Iterator[tuple[str, Directory]]:
    """The directories of an EXIF block by name: ``IFD0``, ``Exif``, ``GPS``, ``Interop``, ``IFD1``."""
    first = read_directory(block, first_directory(block))
    yield "IFD0", first
    for tag, name in ((EXIF_IFD, "Exif"), (GPS_IFD, "GPS")):
        if tag in first.entries:
            below = read_directory(block, number(block, first.entries[tag]))
            yield name, below
            if INTEROP_IFD in below.entries:
                yield "Interop", read_directory(block, number(block, below.entries[INTEROP_IFD]))
    if first.next:
        yield "IFD1", read_directory(block, first.next)


def known_directories(block: bytes) -> dict[str, Directory]:
    """The same as far as the block is sound."""
    found = {}
    try:
        for name, directory in directories(block):
            found[name] = directory
    except (struct.error, ValueError):
        pass  # a damaged block is passed on as it is
    return found


def missing(before: bytes, after: bytes) -> Iterator[str]:
    """What the EXIF block ``before`` says and ``after`` does not, in words."""
    wanted, found = known_directories(before), known_directories(after)
    if not wanted:
        yield "EXIF"
        return
    for name, directory in wanted.items():
        if name == "IFD1":
            if _thumbnail(directory) and not _thumbnail(found.get(name)):
                yield "EXIF thumbnail"
            continue
        others = found[name].entries if name in found else {}
        for tag, entry in directory.entries.items():
            if tag in POINTERS | _FREE or (name == "IFD0" and tag not in DESCRIBING):
                continue
            other = others.get(tag)
            if tag == MAKER_NOTE:
                if other is None or other.value != entry.value or other.at != entry.at:
                    yield "maker notes" if other is None else "offsets in maker notes"
            elif other is None or plain(before, entry) != plain(after, other):
                yield f"EXIF tag {tag} ({name})"


def others(block: bytes) -> Iterator[tuple[int, bytes]]:
    """Tags of the first directory that are neither EXIF's nor storage, each with its value in big-endian order."""
    first = known_directories(block).get("IFD0")
    for tag, entry in first.entries.items() if first else ():
        if tag not in DESCRIBING | STORAGE | POINTERS:
            yield tag, plain(block, entry)


def _thumbnail(directory: Directory | None) -> bool:
    return directory is not None and bool({THUMBNAIL_AT, 273} & directory.entries.keys())


def has_thumbnail(block: bytes) -> bool:
    """Whether an EXIF block holds a small picture."""
    return _thumbnail(known_directories(block).get("IFD1"))


def plain(block: bytes, entry: Entry) -> bytes:
    """An entry's value in big-endian order, so that blocks of either order compare."""
    unit = _UNITS.get(entry.type, 1)
    if unit == 1 or byte_order(block) == ">":
        return entry.value
    return b"".join(entry.value[at : at + unit][::-1] for at in range(0, len(entry.value), unit))


def with_number(block: bytes, entry: Entry, value: int) -> bytes:
    """The block with another whole number in an entry of one."""
    order = byte_order(block)
    code = {3: "H", 4: "I", 13: "I"}.get(entry.type)
    if code is None or entry.count != 1:
        return block
    return _patched(block, entry.at, struct.pack(order + code, value))


def _patched(block: bytes, at: int, value: bytes) -> bytes:
    return block[:at] + value + block[at + len(value) :]


def upright(block: bytes) -> bytes:
    """The block saying that pixels stand upright, the thumbnail's too; sides that lay on their side change places."""
    found = known_directories(block)
    order = byte_order(block) if found else "<"
    turned = False
    for name in ("IFD0", "IFD1"):
        entry = found[name].entries.get(ORIENTATION) if name in found else None
        if entry is not None:
            turned = turned or (name == "IFD0" and entry.type == 3 and number(block, entry) >= 5)
            block = _patched(block, entry.place + 2, struct.pack(f"{order}HI", 3, 1))
            block = _patched(block, entry.place + 8, struct.pack(f"{order}HH", 1, 0))
    sides = [found["Exif"].entries.get(tag) for tag in (PIXELS_ACROSS, PIXELS_DOWN)] if "Exif" in found else []
    across, down = sides if len(sides) == 2 else (None, None)
    if turned and across is not None and down is not None:
        old = number(block, across), number(block, down)
        block = with_number(with_number(block, across, old[1]), down, old[0])
    return block


def with_thumbnail(block: bytes, make: Callable[[int], bytes | None]) -> bytes:
    """The block with another JPEG in the place of its thumbnail; ``make`` is told how many bytes it may take.

    Without one that fits, or with a thumbnail of another kind, the block has none any more.
    """
    found = known_directories(block)
    if not _thumbnail(found.get("IFD1")):
        return block
    at, size = (found["IFD1"].entries.get(tag) for tag in (THUMBNAIL_AT, THUMBNAIL_BYTES))
    try:
        if at is not None and size is not None:
            start, room = number(block, at), number(block, size)
            old = block[start : start + room]
            new = make(room) if old[:2] == b"\xff\xd8" and len(old) == room else None
            if new is not None:
                return with_number(_patched(block, start, new.ljust(room, b"\0")), size, len(new))
    except ValueError:
        pass  # its place is no number
    return without_thumbnail(block, found)


def without_thumbnail(block: bytes, found: dict[str, Directory] | None = None) -> bytes:
    """The block without its second directory, whose pixels are blanked where they are found."""
    found = known_directories(block) if found is None else found
    if "IFD1" not in found:
        return block
    entries = found["IFD1"].entries
    for place, size in ((THUMBNAIL_AT, THUMBNAIL_BYTES), (273, 279)):
        if place in entries and size in entries:
            try:
                start, length = number(block, entries[place]), number(block, entries[size])
            except ValueError:
                continue
            block = _patched(block, start, bytes(max(0, min(length, len(block) - start))))
    return _patched(block, found["IFD0"].next_place, bytes(8 if is_big(block) else 4))
