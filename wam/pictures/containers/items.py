"""AVIF and HEIC files as items with properties and references (ISO/IEC 14496-12, section 8.11; 23008-12), read and
written whole, so that items of one file can be put into another."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from wam.pictures.boxes import Box, boxes

_KNOWN = frozenset({b"hdlr", b"pitm", b"iinf", b"iloc", b"iref", b"iprp", b"idat", b"grpl", b"dinf"})


@dataclass(frozen=True)
class Item:
    """``kind`` of four letters, ``entry`` the whole box that names it, ``properties`` whole boxes, each with whether a
    reader must know it."""

    kind: bytes
    entry: bytes
    data: bytes
    properties: tuple[tuple[bytes, bool], ...] = ()

    @property
    def text(self) -> bytes:
        """What follows the kind: name, and MIME type."""
        at = {2: 16, 3: 18}.get(self.entry[8], 16) + 4
        return self.entry[at:]


@dataclass(frozen=True)
class Reference:
    """From one item to others, by a kind of four letters."""

    kind: bytes
    source: int
    targets: tuple[int, ...]


@dataclass(frozen=True)
class Items:
    """``meta`` holds child boxes that are not known, ``groups`` the boxes of entity groups, both whole."""

    primary: int
    items: Mapping[int, Item]
    references: tuple[Reference, ...] = ()
    groups: tuple[bytes, ...] = ()
    meta: tuple[bytes, ...] = field(default=())


def whole(content: bytes, box: Box) -> bytes:
    """A box with its header, whose size is 32 bits unless it is longer."""
    return make(box.kind, content[box.start : box.end])


def make(kind: bytes, payload: bytes) -> bytes:
    """A box."""
    if len(payload) + 8 < 1 << 32:
        return struct.pack(">I4s", len(payload) + 8, kind) + payload
    return struct.pack(">I4sQ", 1, kind, len(payload) + 16) + payload


def read(content: bytes) -> Items | None:
    """The items of a file; None for one without, or one that is damaged or too odd to be written again."""
    try:
        return _read(content)
    except (struct.error, LookupError, ValueError, StopIteration):
        return None


def _read(content: bytes) -> Items | None:
    outer = next((box for box in boxes(content) if box.kind == b"meta"), None)
    if outer is None:
        return None
    children = list(boxes(content, outer.start + 4, outer.end))
    inner = {box.kind: box for box in children}
    primary = _number(content, inner[b"pitm"].start + 4, 4 if content[inner[b"pitm"].start] else 2)
    places = dict(_places(content, inner))
    owned = _properties(content, inner[b"iprp"]) if b"iprp" in inner else {}
    items = {}
    start = inner[b"iinf"].start + (8 if content[inner[b"iinf"].start] else 6)
    for box in boxes(content, start, inner[b"iinf"].end):
        entry = whole(content, box)
        wide = 4 if entry[8] >= 3 else 2
        if entry[8] not in (2, 3):
            return None
        number = _number(entry, 12, wide)
        items[number] = Item(entry[14 + wide : 18 + wide], entry, places.get(number, b""), tuple(owned.get(number, ())))
    if primary not in items:
        return None
    groups = [whole(content, b) for box in children if box.kind == b"grpl" for b in boxes(content, box.start, box.end)]
    unknown = [whole(content, box) for box in children if box.kind not in _KNOWN]
    return Items(primary, items, tuple(_references(content, inner.get(b"iref"))), tuple(groups), tuple(unknown))


def extents(content: bytes) -> dict[int, list[tuple[int, int]]]:
    """Start and length of the pieces of each item that stand in the file itself; nothing where they cannot be read."""
    outer = next((box for box in boxes(content) if box.kind == b"meta"), None)
    inner = {} if outer is None else {box.kind: box for box in boxes(content, outer.start + 4, outer.end)}
    try:
        return {number: pieces for number, method, pieces in _extents(content, inner[b"iloc"]) if method == 0}
    except (LookupError, ValueError):
        return {}


def _number(content: bytes, at: int, size: int) -> int:
    if at + size > len(content):
        raise ValueError(f"expected {size} bytes, found the end, use a whole file")
    return int.from_bytes(content[at : at + size], "big")


def _places(content: bytes, inner: Mapping[bytes, Box]) -> Iterator[tuple[int, bytes]]:
    """The bytes of each item."""
    for number, method, pieces in _extents(content, inner[b"iloc"]):
        source = content[inner[b"idat"].start : inner[b"idat"].end] if method == 1 else content
        if method > 1 or any(start + length > len(source) for start, length in pieces):
            raise ValueError("expected an item inside the file, found another place, use a whole file")
        yield number, b"".join(source[start : start + length] if length else source[start:] for start, length in pieces)


def _extents(content: bytes, box: Box) -> Iterator[tuple[int, int, list[tuple[int, int]]]]:
    """Number of each item, the kind of place it stands in, and start and length of its pieces (section 8.11.3)."""
    at, end = box.start, box.end
    version = content[at]
    offset_size, length_size = content[at + 4] >> 4, content[at + 4] & 15
    base_size, index_size = content[at + 5] >> 4, content[at + 5] & 15 if version else 0
    wide = 4 if version == 2 else 2
    count = _number(content, at + 6, wide)
    at += 6 + wide
    for _ in range(count):
        number = _number(content, at, wide)
        at += wide
        method = _number(content, at, 2) & 15 if version else 0
        at += (2 if version else 0) + 2
        base = _number(content, at, base_size)
        at += base_size
        pieces = []
        amount = _number(content, at, 2)
        at += 2
        for _ in range(amount):
            start = base + _number(content, at + index_size, offset_size)
            length = _number(content, at + index_size + offset_size, length_size)
            at += index_size + offset_size + length_size
            if at > end:
                raise ValueError("expected an item inside the file, found another place, use a whole file")
            pieces.append((start, length))
        yield number, method, pieces


def _properties(content: bytes, outer: Box) -> dict[int, list[tuple[bytes, bool]]]:
    """Properties of each item, in their order (23008-12, section 9.3)."""
    inner = list(boxes(content, outer.start, outer.end))
    stated = [whole(content, b) for box in inner if box.kind == b"ipco" for b in boxes(content, box.start, box.end)]
    owned: dict[int, list[tuple[bytes, bool]]] = {}
    for box in (box for box in inner if box.kind == b"ipma"):
        version, wide_index = content[box.start], content[box.start + 3] & 1
        at = box.start + 8
        for _ in range(_number(content, box.start + 4, 4)):
            wide = 4 if version else 2
            number, amount = _number(content, at, wide), content[at + wide]
            at += wide + 1
            for _ in range(amount):
                value = _number(content, at, 1 + wide_index)
                at += 1 + wide_index
                top = 1 << (15 if wide_index else 7)
                if value & (top - 1):
                    owned.setdefault(number, []).append((stated[(value & (top - 1)) - 1], bool(value & top)))
    return owned


def _references(content: bytes, box: Box | None) -> Iterator[Reference]:
    if box is None:
        return
    wide = 4 if content[box.start] else 2
    for one in boxes(content, box.start + 4, box.end):
        count = _number(content, one.start + wide, 2)
        targets = tuple(_number(content, one.start + wide + 2 + wide * index, wide) for index in range(count))
        yield Reference(one.kind, _number(content, one.start, wide), targets)


def new_entry(number: int, kind: bytes, text: bytes) -> bytes:
    """The box that names an item (section 8.11.6, version 2)."""
    return make(b"infe", bytes([2, 0, 0, 0]) + struct.pack(">HH4s", number, 0, kind) + text)


def numbered(item: Item, number: int) -> Item:
    """The item with another number, of 16 bits."""
    wide = 4 if item.entry[8] == 3 else 2
    body = item.entry[12 + wide :]
    return replace(item, entry=make(b"infe", bytes([2]) + item.entry[9:12] + struct.pack(">H", number) + body))


def write(head: bytes, items: Items, tail: Sequence[bytes]) -> bytes:
    """A file: ``head`` its first box, the items, and ``tail`` other boxes, whole."""
    meta = _meta(items, offset=0)
    meta = _meta(items, offset=len(head) + len(meta) + 8)
    media = b"".join(item.data for item in items.items.values())
    return head + meta + make(b"mdat", media) + b"".join(tail)


def _meta(items: Items, *, offset: int) -> bytes:
    handler = make(b"hdlr", bytes(8) + b"pict" + bytes(13))
    entries = b"".join(item.entry for item in items.items.values())
    children = [
        handler,
        make(b"pitm", bytes(4) + struct.pack(">H", items.primary)),
        _locations(items, offset),
        make(b"iinf", bytes(4) + struct.pack(">H", len(items.items)) + entries),
    ]
    if items.references:
        children.append(make(b"iref", bytes(4) + b"".join(_written(one) for one in items.references)))
    children.append(_property_boxes(items))
    if items.groups:
        children.append(make(b"grpl", b"".join(items.groups)))
    return make(b"meta", bytes(4) + b"".join((*children, *items.meta)))


def _locations(items: Items, offset: int) -> bytes:
    rows = b""
    for number, item in items.items.items():
        rows += struct.pack(">HHHII", number, 0, 1, offset, len(item.data))
        offset += len(item.data)
    return make(b"iloc", bytes(4) + b"\x44\x00" + struct.pack(">H", len(items.items)) + rows)


def _written(one: Reference) -> bytes:
    numbers = struct.pack(f">HH{len(one.targets)}H", one.source, len(one.targets), *one.targets)
    return make(one.kind, numbers)


def _property_boxes(items: Items) -> bytes:
    stated = list(dict.fromkeys(box for item in items.items.values() for box, _ in item.properties))
    rows, count = b"", 0
    for number, item in sorted(items.items.items()):
        if item.properties:
            indices = [(stated.index(box) + 1) | (0x8000 if needed else 0) for box, needed in item.properties]
            rows += struct.pack(f">HB{len(indices)}H", number, len(indices), *indices)
            count += 1
    owned = make(b"ipma", bytes([0, 0, 0, 1]) + struct.pack(">I", count) + rows)
    return make(b"iprp", make(b"ipco", b"".join(stated)) + owned)
