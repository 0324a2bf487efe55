"""JUMBF boxes (ISO/IEC 19566-5), as far as the manifest store of C2PA needs them: by label, and where they are.

Of content that claims to be a store nothing is trusted: boxes that go beyond their end, or that lie too deep, raise
``ValueError``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

SUPERBOX, DESCRIPTION = b"jumb", b"jumd"
MOST_DEPTH = 16  # of boxes in boxes; a store has 4
_LABELLED = 2  # bit of a description's toggles: a label follows
_UUID = 16


@dataclass(frozen=True)
class Box:
    """One box: ``kind`` four bytes, ``start`` and ``end`` of all of it, ``body`` where its header ends."""

    kind: bytes
    start: int
    body: int
    end: int


@dataclass(frozen=True)
class Superbox:
    """A labelled box of boxes, in the order that they stand in."""

    label: str
    box: Box
    superboxes: tuple[Superbox, ...]
    contents: tuple[Box, ...]

    def child(self, label: str) -> Superbox | None:
        """The first of its superboxes with a label; ``c2pa.ingredient__2`` is another than ``c2pa.ingredient``."""
        return next((one for one in self.superboxes if one.label == label), None)


def read_store(store: bytes) -> Superbox:
    """The outermost superbox with all in it; raises ``ValueError`` where the content is no whole one."""
    first = next(_boxes(store, 0, len(store)), None)
    if first is None or first.kind != SUPERBOX:
        raise ValueError("expected a JUMBF superbox, found none")
    return _superbox(store, first, 0)


def assertion_hash(store: bytes, assertion: Superbox) -> bytes:
    """SHA-256 of an assertion as a claim refers to it: all of its superbox but the header (C2PA 2.4, section 8.4.2)."""
    return hashlib.sha256(store[assertion.box.body : assertion.box.end]).digest()


def _superbox(store: bytes, box: Box, depth: int) -> Superbox:
    if depth > MOST_DEPTH:
        raise ValueError(f"expected boxes in boxes up to {MOST_DEPTH} deep, found more")
    label, inside, contents = "", list[Superbox](), list[Box]()
    for one in _boxes(store, box.body, box.end):
        if one.kind == DESCRIPTION:
            label = _label(store[one.body : one.end])
        elif one.kind == SUPERBOX:
            inside.append(_superbox(store, one, depth + 1))
        else:
            contents.append(one)
    return Superbox(label, box, tuple(inside), tuple(contents))


def _boxes(store: bytes, start: int, end: int) -> Iterator[Box]:
    at = start
    while at < end:
        if at + 8 > end:
            raise ValueError(f"expected a box at byte {at}, found the end")
        size, kind, body = int.from_bytes(store[at : at + 4], "big"), store[at + 4 : at + 8], at + 8
        if size == 1:
            size, body = int.from_bytes(store[at + 8 : at + 16], "big"), at + 16
        elif size == 0:
            size = end - at
        if size < body - at or at + size > end:
            raise ValueError(f"expected a box at byte {at} to end within its parent, found {size} bytes")
        yield Box(kind, at, body, at + size)
        at += size


def _label(description: bytes) -> str:
    if len(description) <= _UUID or not description[_UUID] & _LABELLED:
        return ""
    return description[_UUID + 1 :].partition(b"\0")[0].decode("utf-8", "replace")


def active_alone(store: bytes) -> bytes:
    """A manifest store with its active manifest only, the last one; raises ``ValueError``."""
    whole = read_store(store)
    if not whole.superboxes:
        raise ValueError("expected a manifest in the store, found none")
    first = next(_boxes(store, whole.box.body, whole.box.end))
    active = whole.superboxes[-1].box
    inside = store[first.start : first.end] + store[active.start : active.end]
    return (len(inside) + 8).to_bytes(4, "big") + SUPERBOX + inside
