"""Rare places of every container: what stands there is kept in its own format, and kept or named in others."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, TiffImagePlugin

from tests.wam.pictures import made
from tests.wam.pictures.made import box, gif_extension, riff, segment
from tests.wam.pictures.pictures import marked, sample, saved, tiff16
from tests.wam.pictures.test_animation import animated
from wam.pictures.animation import encode_animation, read_animation
from wam.pictures.containers import items as item_boxes
from wam.pictures.containers import png as png_file
from wam.pictures.containers.items import Item, Items, Reference
from wam.pictures.files import read_image
from wam.pictures.formats import ANIMATED, heif_works

CHANCE = {"palette", "colours beyond 255", "bilevel pixels", "CMYK inks", "exact transparency"}
CODED = ("AVIF", *(["HEIF"] if heif_works() else []))
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", *CODED)
FIRST, SECOND = b"<<first unlikely>>", b"<<second unlikely>>"  # of 18 and 19 bytes
DATA = st.binary(min_size=1, max_size=300).map(lambda data: b"<<" + data.replace(b"\0", b"\1") + b">>unlikely")
SLOW = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


def again(content: bytes, format: str | None = None) -> tuple[bytes, set[str]]:
    """The file marked and saved again, an animation with all its frames, and what it says is lost."""
    animation = read_animation(content)
    pixels = [marked(picture) for picture in animation.pictures]
    output, lost = encode_animation(pixels, like=animation, format=format or animation.pictures[0].format)
    return output, set(lost) - CHANCE


def holds(content: bytes, proof: bytes) -> bool:
    """Whether a file has these bytes, in a compressed text of a PNG also."""
    if proof in content:
        return True
    texts = (png_file.text_of(kind, data)[1] for kind, data in png_file.chunks(content) if kind in (b"zTXt", b"iTXt"))
    return content[:4] == b"\x89PNG" and any(
        proof in one or proof.hex().encode() in one.replace(b"\n", b"") for one in texts
    )


def jpeg(*parts: bytes, after: bytes = b"") -> bytes:
    """A JPEG with segments at its start, and others just before its end."""
    plain = made.plain("JPEG")
    return plain[:2] + b"".join(parts) + plain[2:-2] + after + plain[-2:]


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    plain = made.plain("PNG")
    return plain[:33] + b"".join(made.chunk(*one) for one in chunks) + plain[33:]


def items(
    format: str, more: dict[int, tuple[bytes, bytes, bytes, bool]], *, meta: bytes = b"", tail: bytes = b""
) -> bytes:
    """A file with further items: by number kind, text, data, and whether it describes the picture, else item 77, a gain
    map beside it."""
    plain = saved(sample("RGB"), format, quality=90)
    found = item_boxes.read(plain)
    assert found is not None
    primary = found.items[found.primary]
    auxiliary = (box(b"auxC", bytes(4) + b"urn:com:apple:photo:2020:aux:hdrgainmap\0"), True)
    gain = Item(
        primary.kind, item_boxes.new_entry(77, primary.kind, b"\0"), primary.data, (*primary.properties, auxiliary)
    )
    others = {n: Item(kind, item_boxes.new_entry(n, kind, text), data) for n, (kind, text, data, _) in more.items()}
    references = [Reference(b"cdsc", n, (found.primary if own else 77,)) for n, (*_, own) in more.items()]
    together = Items(
        found.primary, {found.primary: primary, 77: gain, **others},
        (Reference(b"auxl", 77, (found.primary,)), *references), (), (meta,) if meta else (),
    )  # fmt: skip
    return item_boxes.write(plain[: int.from_bytes(plain[:4], "big")], together, [tail] if tail else [])


def packet(text: bytes) -> bytes:
    return made.PACKET.replace(b"made", text)


XMP_ITEM = b"\0application/rdf+xml\0\0"
EXIF = made.camera_exif()
OTHER_EXIF = EXIF.replace(b"Canon", b"Nikon")
JUMB = b"JP\0\1\0\0\0\1\0\0\0\x30jumb\0\0\0\x28jumd"


def dib(*, header: int = 40, gap: bytes = b"", after: bytes = b"") -> bytes:
    """A BMP of 24 bits with a header of some version, and bytes around its pixels."""
    size, pixels = (56, 40), bytes(range(240)) * 28
    head = struct.pack("<IHHHH", 12, *size, 1, 24) if header == 12 else made.plain("BMP")[14:54]
    start = 14 + len(head) + len(gap)
    file_header = b"BM" + struct.pack("<IHHI", start + len(pixels) + len(after), 0, 0, start)
    return file_header + head + gap + pixels + after


def tiff_with_repeated_tag() -> bytes:
    content = made.tiff({50_001: (7, FIRST), 50_002: (7, SECOND)})
    return content.replace(struct.pack("<H", 50_002), struct.pack("<H", 50_001))


def tiff_after_thumbnail() -> bytes:
    """The picture is the second page; the first shows it smaller."""
    stream = io.BytesIO()
    with TiffImagePlugin.AppendingTiffWriter(stream, new=True) as writer:
        for side, tags in ((2, {254: 1}), (1, {50_001: FIRST, 33723: made.iptc()})):
            directory = TiffImagePlugin.ImageFileDirectory_v2()
            for tag, value in tags.items():
                directory.tagtype[tag] = 4 if tag == 254 else 7
                directory[tag] = value
            Image.fromarray(np.asarray(sample("RGB"))[::side, ::side]).save(writer, "TIFF", tiffinfo=directory)
            writer.newFrame()
    return stream.getvalue()


KEPT: dict[str, tuple[str, Callable[[], bytes], tuple[bytes, ...]]] = {
    "comments before, between and after the scan": (
        "JPEG", lambda: jpeg(segment(0xFE, FIRST), after=segment(0xFE, SECOND)), (FIRST, SECOND)),
    "segment after the scan": ("JPEG", lambda: jpeg(after=segment(0xE5, b"Odd\0" + FIRST)), (FIRST,)),
    "fill bytes before a segment": ("JPEG", lambda: jpeg(b"\xff\xff" + segment(0xE7, FIRST)), (FIRST,)),
    "camera data in APP0": ("JPEG", lambda: jpeg(segment(0xE0, b"II\x1a\0\0\0HEAPJPGM" + FIRST)), (FIRST,)),
    "colour management beside Adobe's transform": (
        "JPEG", lambda: jpeg(segment(0xEE, b"Adobe\0d\0\0\0\0\1"), segment(0xEE, b"Adobe_CM" + FIRST)), (FIRST,)),
    "JUMBF of another kind than credentials": (
        "JPEG", lambda: jpeg(segment(0xEB, JUMB + b"xyzw" + FIRST), segment(0xEB, b"HDR_RI ver=11\0" + SECOND)),
        (FIRST, SECOND)),
    "second EXIF segment": (
        "JPEG", lambda: jpeg(segment(0xE1, b"Exif\0\0" + EXIF), segment(0xE1, b"Exif\0\0" + OTHER_EXIF)),
        (b"Canon", b"Nikon")),
    "Photoshop's data of an unknown layout": (
        "JPEG", lambda: jpeg(segment(0xED, b"Photoshop 3.0\0" + made.resources(made.iptc()) + b"8B64" + FIRST)),
        (FIRST, b"(c) Agency")),
    "IPTC in two resources": (
        "JPEG", lambda: jpeg(segment(0xED, b"Photoshop 3.0\0" + made.resources(made.iptc()) + made.resources(
            made.iptc().replace(b"Agency", b"Friend")))), (b"(c) Agency", b"(c) Friend")),
    "registered chunks that no pixel changes": (
        "PNG", lambda: png((b"sPLT", b"p\0\x08" + FIRST[:12]), (b"pCAL", b"p\0" + FIRST), (b"sCAL", b"\1" + SECOND)),
        (FIRST, SECOND)),
    "second EXIF chunk of a PNG": ("PNG", lambda: png((b"eXIf", EXIF), (b"eXIf", OTHER_EXIF)), (b"Canon", b"Nikon")),
    "second EXIF chunk of a WebP": (
        "WEBP", lambda: riff(riff(made.plain("WEBP"), b"EXIF", EXIF), b"EXIF", OTHER_EXIF), (b"Canon", b"Nikon")),
    "several comments of a GIF": (
        "GIF", lambda: gif_extension(gif_extension(made.plain("GIF"), b"\xfe", FIRST), b"\xfe", SECOND),
        (FIRST, SECOND)),
    "extension after a GIF's picture": (
        "GIF", lambda: made.plain("GIF")[:-1] + b"\x21\xff\x0bMYAPPLICATI\x12" + FIRST + b"\0;", (FIRST,)),
    "extension of an unknown label": ("GIF", lambda: gif_extension(made.plain("GIF"), b"\x99", FIRST), (FIRST,)),
    "loops of a still GIF": (
        "GIF", lambda: gif_extension(made.plain("GIF"), b"\xff\x0bNETSCAPE2.0", b"\1\0\0"), (b"NETSCAPE2.0",)),
    "data after a BMP of OS/2": ("BMP", lambda: dib(header=12, after=FIRST), (FIRST,)),
    "names of inks": ("TIFF", lambda: made.tiff({333: (2, FIRST.decode())}), (FIRST,)),
    "tags of a picture after its thumbnail": ("TIFF", tiff_after_thumbnail, (FIRST, b"(c) Agency")),
    "box beside an animation": (
        "AVIF", lambda: animated("AVIF") + box(b"uuid", bytes(range(16)) + FIRST), (FIRST,)),
}  # fmt: skip
for _format in CODED:
    KEPT |= {
        f"second EXIF of {_format}": (_format, lambda f=_format: items(f, {
            80: (b"Exif", b"\0", bytes(4) + EXIF, True), 81: (b"Exif", b"\0", bytes(4) + OTHER_EXIF, True)}),
            (b"Canon", b"Nikon")),
        f"XMP of a gain map of {_format}": (_format, lambda f=_format: items(f, {
            80: (b"mime", XMP_ITEM, packet(FIRST[2:7]), False)}), (FIRST[2:7],)),
        f"XMP of a gain map and of the picture of {_format}": (_format, lambda f=_format: items(f, {
            80: (b"mime", XMP_ITEM, packet(b"aboutgain"), False),
            81: (b"mime", XMP_ITEM, packet(b"aboutpicture"), True)}), (b"aboutgain", b"aboutpicture")),
        f"file behind {_format}": (_format, lambda f=_format: items(f, {}) + made.VIDEO, (made.VIDEO,)),
        f"data in free space of {_format}": (
            _format, lambda f=_format: items(f, {}, tail=box(b"free", FIRST)), (FIRST,)),
        f"media of no item of {_format}": (
            _format, lambda f=_format: items(f, {}, tail=box(b"mdat", FIRST)), (FIRST,)),
    }  # fmt: skip


@pytest.mark.parametrize("name", KEPT)
def test_it_is_kept_in_its_own_format(name: str) -> None:
    _, make, proofs = KEPT[name]
    output, lost = again(make())
    assert [proof for proof in proofs if not holds(output, proof)] == []
    assert lost <= {"thumbnail pages"}
    twice, lost = again(output)
    assert [proof for proof in proofs if not holds(twice, proof)] == [] and not lost


@pytest.mark.parametrize("name", KEPT)
def test_it_is_kept_or_named_in_every_other_format(name: str) -> None:
    format, make, proofs = KEPT[name]
    content = make()
    animation = len(read_animation(content).pictures) > 1
    for target in (one for one in FORMATS if one != format and (one in ANIMATED or not animation)):
        output, lost = again(content, target)
        gone = [proof for proof in proofs if not holds(output, proof)]
        silent = gone and not lost - {"thumbnail pages"}
        assert not silent or name.startswith("loops"), (target, gone)


NAMED: dict[str, tuple[Callable[[], bytes], set[str]]] = {
    "bytes between a BMP's header and its pixels": (lambda: dib(gap=FIRST), {"data around the pixels"}),
    "a tag twice": (tiff_with_repeated_tag, {"first of two TIFF tags 50001"}),
    "a curve of the samples": (
        lambda: made.tiff({301: (3, tuple(range(256)) * 3)}), {"transfer function (TIFF tag 301)"}),
    "thumbnail page, once": (tiff_after_thumbnail, {"thumbnail pages"}),
    "plain text of a GIF": (
        lambda: gif_extension(made.plain("GIF"), b"\x01", bytes(12) + FIRST), {"GIF plain text"}),
    "a palette that only suggests": (lambda: png((b"PLTE", bytes(range(30)))), {"suggested palette (PLTE)"}),
    "credentials beside other JUMBF": (
        lambda: jpeg(segment(0xEB, JUMB + b"c2pa" + FIRST), segment(0xEB, b"HDR_RI ver=11\0" + SECOND)),
        {made.CREDENTIALS}),
}  # fmt: skip
for _format in CODED:
    NAMED |= {
        f"credentials among the items of {_format}": (
            lambda f=_format: items(f, {}, meta=box(b"jumb", FIRST + b"c2pa")), {made.CREDENTIALS}),
        f"credentials in a uuid box among them, {_format}": (
            lambda f=_format: items(f, {}, meta=box(b"uuid", made.C2PA_UUID + FIRST)), {made.CREDENTIALS}),
        f"credentials after them, {_format}": (
            lambda f=_format: items(f, {}, tail=box(b"uuid", made.C2PA_UUID + FIRST)), {made.CREDENTIALS}),
    }  # fmt: skip


@pytest.mark.parametrize("name", NAMED)
def test_what_cannot_stay_is_named(name: str) -> None:
    make, names = NAMED[name]
    output, lost = again(make())
    assert lost == names
    assert "c2pa" not in name or FIRST not in output


def test_channels_that_are_neither_colour_nor_transparency_are_named() -> None:
    content = tiff16(np.dstack([np.asarray(sample("RGB")), np.asarray(sample("L"))]), prefix=b"II")
    assert read_image(content).alpha is not None and again(content)[1] == set()
    stated = struct.pack("<HHI", 338, 3, 1)
    content = content.replace(stated + b"\2", stated + b"\0")
    assert read_image(content).alpha is None and again(content)[1] == {"extra channels of each pixel"}


@SLOW
@given(code=st.integers(0, 15), head=st.binary(max_size=12), data=DATA)
def test_any_application_segment_is_kept(code: int, head: bytes, data: bytes) -> None:
    content = jpeg(segment(0xE0 + code, head + data), segment(0xE0 + code, head + data + data))
    try:
        read_image(content)
    except Exception:  # what a decoder refuses is no picture
        return
    output, lost = again(content)
    assert (head + data in output and output.count(data) >= 3) or lost


@SLOW
@given(label=st.integers(2, 255), data=DATA, still=st.booleans())
def test_any_extension_of_a_gif_is_kept(label: int, data: bytes, still: bool) -> None:
    if label in (0x2C, 0x3B, 0xF9, 0x21):
        return
    plain = made.plain("GIF") if still else animated("GIF")
    head = bytes([label]) + (b"\x0bUNKNOWNAPPS" if label == 0xFF else b"")
    output, lost = again(gif_extension(plain, head, data))
    assert data[:200] in output and not lost


@SLOW
@given(
    format=st.sampled_from(CODED),
    kind=st.sampled_from([b"mime", b"uri ", b"qrst", b"Exif"]),
    own=st.booleans(),
    data=DATA,
    place=st.sampled_from(["item", "meta", "tail"]),
)
def test_any_item_or_box_is_kept(format: str, kind: bytes, own: bool, data: bytes, place: str) -> None:
    unknown = box(b"zzzz", data)
    content = items(
        format,
        {80: (kind, b"n\0text/plain\0\0", bytes(4) + EXIF + data, own)} if place == "item" else {},
        meta=unknown if place == "meta" else b"",
        tail=unknown if place == "tail" else b"",
    )
    output, lost = again(content)
    assert data in output or lost


@SLOW
@given(
    values=st.lists(st.integers(0, 255), min_size=5, max_size=40), kind=st.sampled_from([1, 3, 4, 6, 8, 9, 11, 12, 7])
)
def test_a_private_tag_of_any_type_is_kept(values: list[int], kind: int) -> None:
    value: Any = bytes(values) if kind in (1, 7) else tuple(v // 2 for v in values)
    content = made.tiff({50_011: (kind, value), 50_012: (2, "after it")})
    output, lost = again(content)
    stored = [read_image(one).metadata.exif or b"" for one in (content, output)]
    assert not lost and len(stored[0]) == len(stored[1]) and b"after it" in output
