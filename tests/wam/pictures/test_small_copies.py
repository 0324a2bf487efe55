"""No small copy of the unmarked picture goes out with a marked one: one of the marked one is there, or it is named."""

from __future__ import annotations

import base64
import hashlib
import io
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.wam.pictures import made
from tests.wam.pictures.pictures import colours, opened, sample, saved
from wam.pictures.containers import iptc, jpeg, png, xmp
from wam.pictures.files import encode_image, read_image
from wam.pictures.formats import heif_works
from wam.pictures.thumbnail import padded, shows

CODED = ("AVIF", *(["HEIF"] if heif_works() else []))
PHOTO = np.kron(colours(), np.ones((4, 4, 1), np.uint8))  # 224 by 160 pixels
SMALL = saved(Image.fromarray(colours()), "JPEG", quality=80)
NEGATIVE = 255 - PHOTO


def negative(content: bytes, format: str | None = None) -> tuple[bytes, set[str]]:
    """The file with the negative of its picture in the place of a marked one, so that nobody can take the two for one
    another, and what is lost."""
    picture = read_image(content)
    output, lost = encode_image(255 - picture.pixels, like=picture, format=format or picture.format)
    return output, set(lost) - {"colours beyond 255"}


def thumbnail_xmp(image: bytes = SMALL) -> bytes:
    """An XMP packet with a thumbnail, as Photoshop writes it: lines of Base64 with line feeds as entities."""
    lines = b"&#xA;".join(base64.b64encode(image)[at : at + 76] for at in range(0, len(image) * 2, 76))
    return made.PACKET.replace(
        b"/></rdf:RDF>",
        b' xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:xmpGImg="http://ns.adobe.com/xap/1.0/g/img/"><xmp:Thumbnails>'
        b'<rdf:Alt><rdf:li rdf:parseType="Resource"><xmpGImg:format>JPEG</xmpGImg:format><xmpGImg:image>'
        + lines.rstrip(b"&#xA;")
        + b"</xmpGImg:image></rdf:li></rdf:Alt></xmp:Thumbnails></rdf:Description></rdf:RDF>",
    )


def image_in(packet: bytes | None) -> bytes:
    assert packet is not None
    return base64.b64decode(packet.split(b"<xmpGImg:image>")[1].split(b"<")[0])


def with_xmp(format: str, packet: bytes) -> bytes:
    plain = saved(Image.fromarray(PHOTO).quantize(64) if format == "GIF" else Image.fromarray(PHOTO), format)
    if format == "GIF":
        magic = b"\1" + bytes(range(255, -1, -1)) + b"\0"
        at = 13 + (3 << (plain[10] & 7) + 1)
        return b"GIF89a" + plain[6:at] + b"\x21\xff\x0bXMP DataXMP" + packet + magic + plain[at:]
    if format == "PNG":
        return plain[:33] + made.chunk(*png.xmp_chunk(packet)) + plain[33:]
    if format == "TIFF":
        return made.tiff({700: (1, packet)})
    return saved(Image.fromarray(PHOTO), format, xmp=packet)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", *CODED])
def test_a_thumbnail_in_xmp_is_of_the_marked_picture(format: str) -> None:
    output, lost = negative(with_xmp(format, thumbnail_xmp()))
    new = image_in(read_image(output).metadata.xmp)
    assert lost == set() and opened(new).size == (56, 40)
    assert shows(new, NEGATIVE) and not shows(new, PHOTO)
    assert base64.b64encode(SMALL)[:60] not in output


@pytest.mark.parametrize("target", ["PNG", "WEBP", "TIFF", *CODED])
def test_so_it_is_in_another_format(target: str) -> None:
    output, lost = negative(with_xmp("JPEG", thumbnail_xmp()), target)
    assert lost == set() and shows(image_in(read_image(output).metadata.xmp), NEGATIVE)


def test_so_it_is_in_extended_xmp() -> None:
    guid = hashlib.md5(thumbnail_xmp()).hexdigest().upper().encode()
    plain = saved(Image.fromarray(PHOTO), "JPEG")
    content = plain[:2] + jpeg.extended_xmp(thumbnail_xmp(), guid) + plain[2:]
    output, lost = negative(content)
    packet, more = jpeg.xmp_of(jpeg.walk(output)[0])
    assert lost == set() and shows(image_in((packet or b"") + more), NEGATIVE)
    assert (b"HasExtendedXMP" in output) == bool(more)


@pytest.mark.parametrize("image", [b"no JPEG at all", SMALL[:60]])
def test_a_thumbnail_that_cannot_be_made_again_is_dropped_and_named(image: bytes) -> None:
    output, lost = negative(with_xmp("JPEG", thumbnail_xmp(image)))
    assert lost == {"XMP thumbnail"}
    assert b"xmpGImg:image" not in output and b'dc:format="made"' in output


def test_a_thumbnail_written_as_an_attribute_is_found() -> None:
    packet = made.PACKET.replace(
        b"/></rdf:RDF>",
        b' xmlns:g="http://ns.adobe.com/xap/1.0/g/img/" g:image="' + base64.b64encode(SMALL) + b'"/></rdf:RDF>',
    )
    assert xmp.has_thumbnails(packet) and not xmp.has_thumbnails(made.PACKET)
    changed = xmp.with_thumbnails(packet, lambda old: old[::-1])
    assert base64.b64encode(SMALL[::-1]) in changed and base64.b64encode(SMALL) not in changed


def indexed(kinds: list[int], pictures: list[Image.Image]) -> bytes:
    """A JPEG with further pictures behind it, whose MPF index calls them of these kinds (DC-007, section 5.2)."""
    plain = saved(Image.fromarray(PHOTO), "JPEG", quality=90)
    others = [saved(one, "JPEG", quality=80) for one in pictures]
    count = 1 + len(others)
    size = len(plain) + 4 + 4 + 50 + 16 * count  # of the first picture with its index
    index = b"II*\0" + struct.pack("<IH", 8, 3)
    index += struct.pack("<HHI", 0xB000, 7, 4) + b"0100" + struct.pack("<HHII", 0xB001, 4, 1, count)
    index += struct.pack("<HHII", 0xB002, 7, 16 * count, 50) + bytes(4) + struct.pack("<IIII", 0x030000, size, 0, 0)
    at = size - (2 + 4 + 4)  # offsets count from the index's start
    for kind, one in zip(kinds, others, strict=True):
        index += struct.pack("<IIII", kind, len(one), at, 0)
        at += len(one)
    content = plain[:2] + made.segment(0xE2, b"MPF\0" + index) + plain[2:]
    assert len(content) == size
    return content + b"".join(others)


def listed(content: bytes) -> list[bytes]:
    return [content[at : at + size] for _, at, size in jpeg.pictures_of_index(content)]


def test_previews_of_an_index_are_of_the_marked_picture() -> None:
    copy, other = Image.fromarray(colours()), Image.fromarray(np.full((40, 56, 3), 77, np.uint8))
    kinds = [0x010001, 0x010002, 0, 0x020002, 0, 0x010001]
    content = indexed(kinds, [copy, Image.fromarray(PHOTO[::2, ::2]), copy, copy, other, other]) + made.VIDEO
    output, lost = negative(content)
    assert lost == set() and output.endswith(made.VIDEO)
    before, after = listed(content), listed(output)
    assert [len(one) for one in before] == [len(one) for one in after]
    assert [opened(one).size for one in before[:3]] == [opened(one).size for one in after[:3]]
    assert [shows(one, NEGATIVE) for one in after] == [True, True, True, False, False, True]
    # a view of a stereo pair is another picture however alike; what is called a large thumbnail is one of this picture
    assert before[3:5] == after[3:5]
    assert [one[:2] + one[-2:] for one in after] == [b"\xff\xd8\xff\xd9"] * 6


def test_a_preview_that_no_index_lists_is_found_too() -> None:
    content = saved(Image.fromarray(PHOTO), "JPEG", quality=90) + b"AFCP" + SMALL + b"more"
    output, lost = negative(content)
    assert lost == set() and SMALL not in output and output.endswith(b"more")
    start = output.index(b"AFCP") + 4
    assert shows(output[start : start + len(SMALL)], NEGATIVE)


def thumbnail_resources() -> bytes:
    head = struct.pack(">6I2H", 1, 56, 40, 168, 6720, len(SMALL), 24, 1)
    data = head + SMALL
    thumbnail = b"8BIM" + struct.pack(">HBBI", 1036, 0, 0, len(data)) + data + bytes(len(data) % 2)
    return made.resources(made.iptc()) + thumbnail


@pytest.mark.parametrize("format", ["JPEG", "TIFF", "PNG"])
def test_photoshops_thumbnail_is_of_the_marked_picture(format: str) -> None:
    plain = saved(Image.fromarray(PHOTO), format)
    if format == "JPEG":
        content = plain[:2] + jpeg.photoshop_segments(thumbnail_resources()) + plain[2:]
    elif format == "PNG":
        kind, data, _ = png.raw_profile_chunk("8bim", thumbnail_resources())
        content = plain[:33] + made.chunk(kind, data) + plain[33:]
    else:
        content = made.tiff({34377: (7, thumbnail_resources())})
    output, lost = negative(content)
    assert lost == set()
    block = output
    if format == "PNG":
        block = next(png.raw_profile(png.text_of(k, d)[1]) or b"" for k, d in png.chunks(output) if k == b"zTXt")
    start = block.index(b"8BIM\x04\x0c")
    found = {number: data for number, data, _ in iptc.resources(block[start:])}
    assert shows(found[1036][28:], NEGATIVE) and struct.unpack(">6I", found[1036][:24])[:3] == (1, 56, 40)
    assert b"(c) Agency" in block and SMALL not in block


def test_a_preview_in_maker_notes_is_of_the_marked_picture() -> None:
    note = b"MAKER" + SMALL + b"end of note"
    entries = struct.pack("<HHHIII", 1, 34665, 4, 1, 26, 0) + struct.pack("<HHHIII", 1, 37500, 7, len(note), 44, 0)
    block = b"II*\0" + struct.pack("<I", 8) + entries + note
    for target in ("JPEG", "PNG", "WEBP", *CODED):
        output, lost = negative(saved(Image.fromarray(PHOTO), "JPEG", exif=b"Exif\0\0" + block), target)
        start = output.index(b"MAKER") + 5
        assert lost == set() and SMALL not in output and b"end of note" in output
        assert shows(output[start : start + len(SMALL)], NEGATIVE)


@given(more=st.integers(0, 140_000))
@settings(max_examples=30, deadline=None)
def test_padding_is_exact_and_changes_no_pixel(more: int) -> None:
    longer = padded(SMALL, len(SMALL) + more)
    assert len(longer) == len(SMALL) + more
    assert (np.asarray(opened(longer)) == np.asarray(opened(SMALL))).all()
    assert jpeg.walk(longer)[1] == len(longer)


def test_which_pictures_show_the_same() -> None:
    assert shows(SMALL, PHOTO) and not shows(SMALL, NEGATIVE)
    assert not shows(saved(Image.fromarray(PHOTO[:, :100]), "JPEG"), PHOTO)  # cut
    shifted = saved(Image.fromarray(np.roll(np.asarray(sample("RGB")), 6, axis=1)), "JPEG")
    assert not shows(shifted, PHOTO) and not shows(b"\xff\xd8\xff no picture", PHOTO)
    darker = io.BytesIO()
    Image.fromarray((PHOTO * 0.97).astype(np.uint8)).save(darker, "JPEG")
    assert shows(darker.getvalue(), PHOTO)
