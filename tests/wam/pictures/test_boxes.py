"""Boxes of AVIF and HEIC files: found by their sizes, never by letters that stand anywhere in the file."""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from tests.wam.pictures.pictures import colours, described_exif, opened, resaved, saved
from tests.wam.pictures.test_animation import animated
from wam.pictures.boxes import Box, boxes, properties
from wam.pictures.encoding import patch_colour_codes
from wam.pictures.files import read_image
from wam.pictures.formats import heif_works

TRAP = b"<x>av1CvvLv colrnclx\x00\x0c\x00\x0d</x>"  # 4:2:0, more than 8 bits, Display P3
FORMATS = ("AVIF", *(["HEIF"] if heif_works() else []))


def box(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(payload), kind) + payload


def long_box(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I4sQ", 1, kind, 16 + len(payload)) + payload


def last_box(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I4s", 0, kind) + payload


def media_first(content: bytes) -> bytes:
    """The same file with its metadata and pixels before the boxes that describe them, as a camera may write it."""
    sizes = []
    while sum(sizes) < len(content):
        sizes.append(int.from_bytes(content[sum(sizes) : sum(sizes) + 4], "big"))
    head, meta, media = (content[sum(sizes[:n]) : sum(sizes[: n + 1])] for n in range(3))
    assert (meta[4:8], media[4:8]) == (b"meta", b"mdat") and len(sizes) == 3
    at = meta.index(b"iloc") + 8
    assert meta[at] == 0x44  # offsets and lengths of four bytes (ISO/IEC 14496-12, section 8.11.3)
    base = meta[at + 1] >> 4
    (count,) = struct.unpack_from(">H", meta, at + 2)
    moved = bytearray(meta)
    for item in range(count):
        place = at + 4 + item * (14 + base) + (4 if base else 6)  # the item's base, else its only extent
        struct.pack_into(">I", moved, place, struct.unpack_from(">I", meta, place)[0] - len(meta))
    return head + media + bytes(moved)


def trapped(format: str) -> bytes:
    """A picture of all its chroma and 8 bits whose XMP holds the letters of the boxes, before the boxes."""
    picture = Image.fromarray(colours())
    content = media_first(saved(picture, format, quality=95, subsampling="4:4:4", xmp=TRAP, exif=described_exif()))
    assert 0 < content.index(b"colrnclx") < content.index(b"ipco")
    return content


@pytest.mark.parametrize("format", FORMATS)
def test_letters_in_the_metadata_are_no_boxes(format: str) -> None:
    content = trapped(format)
    assert opened(content).info["xmp"].rstrip(b"\0") == TRAP
    settings = read_image(content).settings
    assert (settings.subsampling, settings.colour_codes, settings.lost) == ("4:4:4", (1, 13), ())


def test_colour_codes_are_written_into_their_property_alone() -> None:
    content = trapped("AVIF")
    patched = patch_colour_codes(content, (12, 13))
    changed = [place for place, (old, new) in enumerate(zip(content, patched, strict=True)) if old != new]
    (place,) = changed
    assert place == content.rindex(b"colrnclx") + 9 and content.index(b"ipco") < place
    assert read_image(patched).settings.colour_codes == (12, 13)
    assert opened(patched).info["xmp"] == TRAP
    again = resaved(patched)
    assert opened(again).info["xmp"] == TRAP and read_image(again).settings.colour_codes == (12, 13)


def test_file_without_colour_codes_is_left_alone() -> None:
    content = box(b"ftyp", b"avif") + box(b"mdat", TRAP) + box(b"meta", bytes(4) + box(b"iprp", box(b"ipco", b"")))
    assert patch_colour_codes(content, (12, 13)) == content


@pytest.mark.parametrize("last", [box, long_box, last_box])
def test_sizes_of_32_bits_of_64_bits_and_to_the_end(last: Callable[[bytes, bytes], bytes]) -> None:
    content = box(b"ftyp", b"avif") + long_box(b"free", b"abc") + last(b"mdat", b"data")
    found = [(each.kind, content[each.start : each.end]) for each in boxes(content)]
    assert found == [(b"ftyp", b"avif"), (b"free", b"abc"), (b"mdat", b"data")]


@pytest.mark.parametrize(
    "damaged",
    [
        b"\0\0\0",
        struct.pack(">I4s", 7, b"free"),  # shorter than its own header
        struct.pack(">I4s", 100, b"free") + bytes(20),  # longer than the file
        struct.pack(">I4s", 1, b"free"),  # no room for 64 bits
        struct.pack(">I4sQ", 1, b"free", 15),
        struct.pack(">I4sQ", 1, b"free", 2**64 - 1) + bytes(20),
    ],
)
def test_the_walk_ends_at_a_damaged_box(damaged: bytes) -> None:
    assert list(boxes(box(b"ftyp", b"avif") + damaged)) == [Box(b"ftyp", 8, 12)]


def test_a_box_may_not_reach_beyond_the_one_around_it() -> None:
    inside = struct.pack(">I4s", 30, b"colr") + b"nclx"
    content = box(b"meta", bytes(4) + box(b"iprp", box(b"ipco", inside))) + bytes(100)
    assert list(properties(content)) == []


def test_properties_are_those_of_items_then_those_of_frames() -> None:
    entry = box(b"av01", bytes(78) + box(b"colr", b"frame"))
    track = box(b"trak", box(b"mdia", box(b"minf", box(b"stbl", box(b"stsd", bytes(8) + entry)))))
    items = box(b"meta", bytes(4) + box(b"hdlr", b"") + box(b"iprp", box(b"ipco", box(b"colr", b"item"))))
    stray = box(b"colr", b"stray")
    content = stray + box(b"moov", stray + track) + items + stray
    assert [content[each.start : each.end] for each in properties(content)] == [b"item", b"frame"]


def test_properties_of_an_animation_are_those_pillow_wrote() -> None:
    content = animated("AVIF")
    kinds = [each.kind for each in properties(content)]
    assert kinds.count(b"av1C") == kinds.count(b"colr") == 2
    stated = [content[each.start : each.end] for each in properties(content) if each.kind == b"colr"]
    assert stated == [b"nclx" + struct.pack(">HHHB", 1, 13, 6, 128)] * 2


def test_media_first_is_the_same_picture_to_pillow() -> None:
    plain = saved(Image.fromarray(colours()), "AVIF", quality=95, xmp=TRAP)
    assert (np.asarray(opened(plain)) == np.asarray(opened(media_first(plain)))).all()
