"""What AVIF and HEIC files hold beside the picture, and how it comes into a file saved again.

The picture is the primary item, what it is put together from, and its transparency: these are coded anew. All other
items, boxes and properties stay as they are, but for thumbnails, which show the unmarked picture, and for content
credentials, which sign it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from wam.pictures.boxes import Box, boxes
from wam.pictures.containers import items as item_boxes
from wam.pictures.containers.items import Item, Items, Reference
from wam.pictures.containers.parts import CREDENTIALS, FURTHER, GAIN_MAP, ICC, XMP, Part, appended, of_exif, shared

# properties of the coded picture, which its new coding states again
_CODED = frozenset({b"ispe", b"pixi", b"av1C", b"hvcC", b"colr", b"auxC", b"a1op", b"a1lx", b"lsel", b"avcC", b"jpgC"})
_TURNS = frozenset({b"clap", b"irot", b"imir"})
_STRUCTURE = frozenset({b"ftyp", b"meta", b"mdat", b"wide", b"pdin", b"styp"})
_FREE = frozenset({b"free", b"skip"})
_TRACK = frozenset({b"tkhd", b"edts", b"tref", b"mdia"})  # boxes of a track that say how its frames are played
_TRACKS: Mapping[bytes, str] = {b"soun": "sound", b"vide": "video", b"text": "text", b"meta": "metadata"}
_C2PA = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")  # C2PA 2.1, section A.5
_ALPHA = (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", b"urn:mpeg:hevc:2015:auxid:1")
_WORDS: Mapping[bytes, str] = {
    b"pasp": "pixel aspect ratio (pasp)",
    b"clli": "light level (clli)",
    b"mdcv": "mastering display (mdcv)",
    b"cclv": "colour volume (cclv)",
    b"amve": "viewing environment (amve)",
    b"clap": "clean aperture (clap)",
    b"irot": "rotation (irot)",
    b"imir": "mirroring (imir)",
}
_XMP_TEXT = b"application/rdf+xml"
_DROPPED = "thumbnail"


def parts(content: bytes, *, turned: bool) -> Iterator[Part]:
    """All that a file holds beside its picture; ``turned``: its decoder gives pixels that stand upright."""
    found = item_boxes.read(content)
    if found is not None:
        yield from _of_items(found, turned)
        yield from (Part("meta box", _box_name(box[4:8], box[8:]), box) for box in found.meta)
    elif any(box.kind == b"meta" for box in boxes(content)):
        yield Part("items", "items of the file that could not be read", content[:64])
    others, end = _beside_items(content)
    for box in others:
        if box.kind == b"moov" and content[8:12] == b"avis":
            yield from _of_film(content, box)
        else:
            data = content[box.start : box.end]
            yield Part(f"box {box.kind!r}", _box_name(box.kind, data), data)
    if _unused(content):
        yield Part("media", "data that no item uses", _unused(content))
    yield from appended(content[end:])


def _beside_items(content: bytes) -> tuple[list[Box], int]:
    """The boxes of a file that neither hold its items and their data nor are empty, and where its boxes end: at bytes
    that are none, or where another file starts."""
    found: list[Box] = []
    seen: set[bytes] = set()
    end = 0
    for box in boxes(content):
        if box.kind == b"ftyp" and seen:
            break
        empty = box.kind in _FREE and not content[box.start : box.end].strip(b"\0")
        if not empty and (box.kind not in _STRUCTURE or (box.kind == b"meta" and b"meta" in seen)):
            found.append(box)
        seen.add(box.kind)
        end = box.end
    return found, end


def _unused(content: bytes) -> bytes:
    """Media data that belongs to no item; nothing of a film, whose tracks have theirs."""
    top = list(boxes(content))
    if any(box.kind == b"moov" for box in top):
        return b""
    places = (place for pieces in item_boxes.extents(content).values() for place in pieces)
    used = sorted((start, start + size) for start, size in places)
    left = b""
    for box in (box for box in top if box.kind == b"mdat"):
        at = box.start
        for start, end in used:
            if box.start <= start < box.end:
                left += content[at:start] if start > at else b""
                at = max(at, end)
        left += content[at : box.end]
    return left if left.strip(b"\0") else b""


def _of_film(content: bytes, film: Box) -> Iterator[Part]:
    """What an animation holds beside its frames, which are written anew: other tracks, and boxes in and beside them."""
    for box in boxes(content, film.start, film.end):
        inside = list(boxes(content, box.start, box.end)) if box.kind == b"trak" else []
        handler = _handler(content, inside)
        if box.kind == b"trak" and handler not in (b"pict", b"auxv", b""):
            kind = _TRACKS.get(handler, handler.decode("latin-1"))
            yield Part(f"track {handler!r}", f"track of an animation ({kind})", content[box.start : box.end])
        elif box.kind == b"trak":
            others = (one for one in inside if one.kind not in _TRACK)
            yield from (Part(f"film {b.kind!r}", _box_name(b.kind, b""), content[b.start : b.end]) for b in others)
        elif box.kind != b"mvhd":
            yield Part(f"film {box.kind!r}", _box_name(box.kind, b""), content[box.start : box.end])


def _handler(content: bytes, track: Sequence[Box]) -> bytes:
    """What kind of media a track has (14496-12, section 8.4.3)."""
    for media in (box for box in track if box.kind == b"mdia"):
        for box in boxes(content, media.start, media.end):
            if box.kind == b"hdlr":
                return content[box.start + 8 : box.start + 12]
    return b""


def _box_name(kind: bytes, data: bytes) -> str:
    if kind in _FREE:
        return "data in free space of the file"
    if kind == b"uuid":
        return CREDENTIALS if data.startswith(_C2PA) else f"box uuid {data[:16].hex()}"
    words = {b"moov": "image sequence", b"mpvd": "video of a motion photo", b"jumb": CREDENTIALS}
    return words.get(kind, f"box {kind.decode('latin-1')}")


def _of_items(found: Items, turned: bool) -> Iterator[Part]:
    pixels = pictured(found)
    for number, item in found.items.items():
        if number in pixels:
            continue
        if item.kind == b"Exif" and _is_own(found, number):
            yield from of_exif(exif_of_item(item.data))
        elif _is_xmp(item) and _is_own(found, number):
            yield shared(XMP, item.data)
        else:
            coded = b"".join(box for box, _ in item.properties)
            yield Part(f"item {item.kind!r}", _item_name(found, number), item.data + coded)
    for box, _ in found.items[found.primary].properties:
        kind = box[4:8]
        if kind == b"colr" and box[8:12] in (b"prof", b"rICC"):
            yield shared(ICC, box[12:])
        elif kind not in _CODED and not (turned and kind in _TURNS):
            name = _WORDS.get(kind, f"property {kind.decode('latin-1')}")
            yield Part(f"property {kind!r}", name, box)


def exif_of_item(data: bytes) -> bytes:
    """The EXIF block of an item, which starts with where the block starts (23008-12, section A.2.1)."""
    return data[4 + int.from_bytes(data[:4], "big") :].removeprefix(b"Exif\0\0")


def _is_own(found: Items, number: int) -> bool:
    """Whether an item that describes pictures describes the primary one, not a gain map or another beside it."""
    described = {
        target for one in found.references if (one.kind, one.source) == (b"cdsc", number) for target in one.targets
    }
    return not described or bool(described & pictured(found))


def _replaced(found: Items) -> set[int]:
    """The items of EXIF and XMP that a file saved again has anew: the first of each that describe the picture."""
    own = [(n, item.kind == b"Exif") for n, item in found.items.items() if item.kind == b"Exif" or _is_xmp(item)]
    own = [one for one in own if _is_own(found, one[0])]
    return {next(n for n, kind in own if kind is wanted) for wanted in {kind for _, kind in own}}


def _is_xmp(item: Item) -> bool:
    return item.kind == b"mime" and _XMP_TEXT in item.text


def _item_name(found: Items, number: int) -> str:
    item = found.items[number]
    kinds = {one.kind for one in found.references if one.source == number}
    auxiliary = b"".join(box for box, _ in item.properties if box[4:8] == b"auxC")
    if b"thmb" in kinds:
        return _DROPPED
    if item.kind == b"Exif" or _is_xmp(item):
        return f"{'EXIF' if item.kind == b'Exif' else 'XMP'} of a further picture"
    if item.kind == b"tmap" or b"hdrgainmap" in auxiliary or _feeds_gain_map(found, number):
        return GAIN_MAP
    if b"depth" in auxiliary or b"auxid:2" in auxiliary:
        return "depth map"
    if item.kind in (b"mime", b"uri "):
        words = item.text.replace(b"\0", b" ").decode("latin-1").strip()
        return f"item of kind {words}" if words.isprintable() and words else "item of kind mime"
    if item.kind in (b"hvc1", b"av01", b"grid", b"iovl", b"iden", b"jpeg", b"avc1"):
        return f"{FURTHER} (auxiliary)" if auxiliary else FURTHER
    return f"item {item.kind.decode('latin-1')}"


def _feeds_gain_map(found: Items, number: int) -> bool:
    maps = {key for key, item in found.items.items() if item.kind == b"tmap"}
    return any(one.kind == b"dimg" and one.source in maps and number in one.targets for one in found.references)


def pictured(found: Items) -> frozenset[int]:
    """Numbers of the items that are the picture: the primary one, its transparency, and what they are made from."""
    numbers = {found.primary}
    for one in found.references:
        if one.kind == b"auxl" and found.primary in one.targets and one.source in found.items:
            auxiliary = (box for box, _ in found.items[one.source].properties if box[4:8] == b"auxC")
            numbers |= {one.source for box in auxiliary if any(name in box for name in _ALPHA)}
    grown = True
    while grown:
        more = {t for one in found.references if one.kind == b"dimg" and one.source in numbers for t in one.targets}
        more &= found.items.keys()
        grown = not more <= numbers
        numbers |= more
    return frozenset(numbers)


@dataclass(frozen=True)
class Kept:
    """What a file saved again takes over from another of its kind: items, properties of the picture, and boxes."""

    items: Items | None
    boxes: tuple[bytes, ...]


def kept(content: bytes, *, turned: bool) -> Kept | None:
    """The same of a file; None for one that holds nothing of the kind, or whose items cannot be read."""
    found = item_boxes.read(content)
    others, end = _beside_items(content)
    after = []
    for box in others:
        if box.kind != b"moov" and _box_name(box.kind, content[box.start : box.end]) != CREDENTIALS:
            after.append(item_boxes.whole(content, box))
    if _unused(content):
        after.append(item_boxes.make(b"mdat", _unused(content)))
    if content[end:].strip(b"\0"):
        after.append(content[end:])
    if found is None or max(found.items) > 0x7FFF:
        return Kept(None, tuple(after)) if after else None
    pixels = pictured(found)
    properties = tuple(
        (box, needed)
        for box, needed in found.items[found.primary].properties
        if box[4:8] not in _CODED and not (turned and box[4:8] in _TURNS)
    )
    items = _others(found, pixels)
    primary = Item(b"", b"", b"", properties)
    references = tuple(
        one
        for one in found.references
        if one.source in items and all(target in items or target == found.primary for target in one.targets)
    )
    numbers = {*items, found.primary}
    groups = tuple(group for group in found.groups if _members(group) <= numbers)
    meta = tuple(box for box in found.meta if _box_name(box[4:8], box[8:]) != CREDENTIALS)
    return Kept(Items(found.primary, {found.primary: primary} | items, references, groups, meta), tuple(after))


def _others(found: Items, pixels: frozenset[int]) -> dict[int, Item]:
    """Items that stay as they are: none of the picture, no thumbnail, none that needs one of these."""
    left = pixels | _replaced(found)
    others = {n: item for n, item in found.items.items() if n not in left and _item_name(found, n) != _DROPPED}
    shrunk = True
    while shrunk:
        bound = {
            one.source
            for one in found.references
            if one.source in others and any(t not in others and t != found.primary for t in one.targets)
        }
        shrunk = bool(bound)
        others = {number: item for number, item in others.items() if number not in bound}
    return others


def _members(group: bytes) -> set[int]:
    """Entities of an entity group (23008-12, section 9.4)."""
    count = int.from_bytes(group[16:20], "big")
    return {int.from_bytes(group[20 + 4 * n : 24 + 4 * n], "big") for n in range(count)}


def with_kept(
    content: bytes, source: Kept | None, *, exif: bytes | None, packet: bytes | None, profile: bytes | None = None
) -> bytes:
    """The file with an EXIF block and an XMP packet as they are, and all that is taken over from another file.

    ``profile``: the ICC profile, for an encoder that writes none.
    """
    found = item_boxes.read(content)
    if found is None or any(box.kind == b"moov" for box in boxes(content)):
        return content if source is None else content + b"".join(source.boxes)
    kept = None if source is None else source.items
    own = _renumbered(found, kept)
    numbers, references = dict(own.items), list(own.references)
    groups, meta = list(own.groups), list(own.meta)
    tail: list[bytes] = []
    if profile is not None:
        primary = numbers[own.primary]
        stated = item_boxes.make(b"colr", b"prof" + profile)
        if not any(box[4:8] == b"colr" and box[8:12] == b"prof" for box, _ in primary.properties):
            numbers[own.primary] = replace(primary, properties=(*primary.properties, (stated, False)))
    free = max((*numbers, *(kept.items if kept is not None else ()))) + 1
    for number, (kind, text, data) in enumerate(
        _described(exif, packet), free
    ):  # before others, as readers take the first
        numbers[number] = Item(kind, item_boxes.new_entry(number, kind, text), data)
        references.append(Reference(b"cdsc", number, (own.primary,)))
    if kept is not None:
        primary = numbers[own.primary]
        more = kept.items[kept.primary].properties
        numbers[own.primary] = replace(primary, properties=(*primary.properties, *more))
        numbers |= {n: item_boxes.numbered(item, n) for n, item in kept.items.items() if n != own.primary}
        references += kept.references
        groups += kept.groups
        meta += kept.meta
    if source is not None:
        tail += source.boxes
    head = _head(content, numbers)
    return item_boxes.write(head, Items(own.primary, numbers, tuple(references), tuple(groups), tuple(meta)), tail)


def _described(exif: bytes | None, packet: bytes | None) -> Iterator[tuple[bytes, bytes, bytes]]:
    if exif:
        yield b"Exif", b"Exif\0", bytes(4) + exif
    if packet:
        yield b"mime", b"XMP\0" + _XMP_TEXT + b"\0\0", packet


def _head(content: bytes, numbers: Mapping[int, Item]) -> bytes:
    """The first box; a file with a tone map says so among its brands."""
    first = next(boxes(content))
    brands = content[first.start : first.end]
    if any(item.kind == b"tmap" for item in numbers.values()) and b"tmap" not in brands:
        brands += b"tmap"
    return item_boxes.make(first.kind, brands)


def _renumbered(found: Items, source: Items | None) -> Items:
    """The items of a new file without EXIF and XMP, with numbers that leave those of ``source`` free; the primary one
    takes the number of the source's."""
    taken = max(source.items) if source is not None else 0
    left = {n: item for n, item in found.items.items() if item.kind != b"Exif" and not _is_xmp(item)}
    new = {number: taken + 1 + place for place, number in enumerate(left)}
    if source is not None:
        new[found.primary] = source.primary
    items = {new[number]: item_boxes.numbered(item, new[number]) for number, item in left.items()}
    references = tuple(
        Reference(one.kind, new[one.source], tuple(new[target] for target in one.targets))
        for one in found.references
        if one.source in new and all(target in new for target in one.targets)
    )
    return Items(new[found.primary], items, references, (), found.meta)
