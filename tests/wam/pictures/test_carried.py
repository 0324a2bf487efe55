"""What stands beside the pixels comes along as it was, its offsets are true, and nothing points at what is gone."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.wam.pictures import made
from tests.wam.pictures.pictures import SRGB, marked, opened, sample, saved
from tests.wam.pictures.test_animation import animated
from wam.pictures.animation import encode_animation, read_animation
from wam.pictures.containers import exif, items, jpeg
from wam.pictures.containers import png as png_file
from wam.pictures.files import encode_image, read_image
from wam.pictures.formats import heif_works

CODED = ("AVIF", *(["HEIF"] if heif_works() else []))


def again(content: bytes, format: str | None = None) -> tuple[bytes, tuple[str, ...]]:
    picture = read_image(content)
    return encode_image(marked(picture), like=picture, format=format or picture.format)


def test_pictures_that_an_index_finds_are_found_at_their_new_place() -> None:
    second = Image.fromarray(np.full((40, 56, 3), 77, np.uint8))
    content, lost = again(saved(sample("RGB"), "MPO", save_all=True, append_images=[second], quality=92))
    found = opened(content)
    found.seek(1)
    assert lost == () and (np.asarray(found) == 77).all()
    ((_, at, size),) = jpeg.pictures_of_index(content)
    assert content[at : at + 2] == b"\xff\xd8" and at + size == len(content) and at == jpeg.walk(content)[1]


@pytest.mark.parametrize("target", ["PNG", "WEBP", "TIFF", "AVIF"])
def test_a_motion_photo_without_its_video_says_nothing_of_it(target: str) -> None:
    source = saved(sample("RGB"), "JPEG", xmp=made.MOTION) + made.VIDEO
    content, lost = again(source, target)
    assert lost == ("video of a motion photo",)
    assert b"MotionPhoto" not in content and b"made" in content
    assert b"MotionPhoto" in again(source)[0]


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_no_pointer_to_dropped_credentials_stays(format: str) -> None:
    packet = made.PACKET.replace(b' dc:format="made"', b' xmlns:dcterms="http://purl.org/dc/terms/" '
                                 b'dcterms:provenance="self#jumbf=/c2pa" dc:format="made"')  # fmt: skip
    content = made.signed(format)
    if format == "JPEG":
        content = content[:2] + made.segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet) + content[2:]
    else:
        content = content[:33] + made.chunk(b"iTXt", b"XML:com.adobe.xmp" + bytes(5) + packet) + content[33:]
    output, lost = again(content)
    assert lost == (made.CREDENTIALS,)
    assert b"self#jumbf" not in output and b"made" in output


@pytest.mark.parametrize("target", ["JPEG", "PNG", "WEBP", "AVIF"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_the_thumbnail_is_of_the_marked_picture_and_as_it_stands(orientation: int, target: str) -> None:
    block = made.camera_exif(thumbnail=made.small(), orientation=orientation)
    content, lost = again(saved(sample("RGB"), "JPEG", quality=92, exif=b"Exif\0\0" + block), target)
    after = next(part.data for part in read_image(content).parts if part.kind == "exif")
    found = exif.known_directories(after)
    at, size = (exif.number(after, found["IFD1"].entries[tag]) for tag in (513, 514))
    small = Image.open(io.BytesIO(after[at : at + size]))
    stored = opened(content)
    assert (small.width > small.height) == (stored.width > stored.height)
    assert made.small() not in content
    turned = "EXIF thumbnail of the stored pixels (an upright one was made)"
    assert set(lost) == ({turned} if orientation == 6 and target != "JPEG" else set())


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed (libimage-exiftool-perl)")
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("target", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF", *CODED[1:]])
def test_exiftool_reads_the_maker_notes(target: str, order: str, tmp_path: Path) -> None:
    block = made.camera_exif(orientation=6, order=order)
    content, lost = again(saved(sample("RGB"), "JPEG", quality=92, exif=b"Exif\0\0" + block), target)
    for name, output in (("once", content), ("twice", again(content)[0])):
        path = tmp_path / f"{name}.{target.lower().replace('heif', 'heic')}"
        path.write_bytes(output)
        shown = subprocess.run(
            ["exiftool", "-s3", "-validate", "-Canon:CanonImageType", "-Make", str(path)],
            capture_output=True,
            text=True,
        ).stdout
        assert made.NOTE.decode().strip("\0") in shown and "Canon" in shown
        assert "offset" not in shown.lower(), shown
    assert lost == ()


def test_a_tiff_keeps_all_tags_of_its_page() -> None:
    geo = struct.pack("<16d", *range(16))
    tags = {33723: (7, made.iptc()), 34377: (7, made.resources(made.iptc())), 34264: (12, struct.unpack("<16d", geo)),
            50999: (7, b"private"), 270: (2, "described"), 42113: (2, "-9999")}  # fmt: skip
    content, lost = again(made.tiff(tags))
    assert lost == ()
    for tag in tags:
        assert opened(content).tag_v2[tag] == opened(made.tiff(tags)).tag_v2[tag]
    _, said = again(made.tiff(tags), "GIF")
    assert {"IPTC", "Photoshop data", "GeoTIFF: transformation", "TIFF tag 50999", "GDAL no-data value"} <= set(said)


def test_photoshops_layers_and_further_pictures_are_named() -> None:
    _, lost = again(made.tiff({37724: (7, b"Adobe Photoshop Document Data Block\0"), 330: (4, (8,))}))
    assert set(lost) == {"Photoshop layers", "further pictures in the file"}


@pytest.mark.parametrize("format", CODED)
def test_items_properties_and_boxes_stay(format: str) -> None:
    plain = saved(sample("RGB"), format, quality=90)
    found = items.read(plain)
    assert found is not None
    primary = found.items[found.primary]
    auxiliary = made.box(b"auxC", bytes(4) + b"urn:com:apple:photo:2020:aux:hdrgainmap\0")
    properties = (*primary.properties, (auxiliary, True))
    gain = items.Item(primary.kind, items.new_entry(77, primary.kind, b"gain\0"), primary.data, properties)
    note = items.Item(b"mime", items.new_entry(78, b"mime", b"note\0text/plain\0\0"), b"a note of its own")
    wide = items.replace(
        primary, properties=(*primary.properties, (made.box(b"pasp", struct.pack(">II", 1, 1)), False))
    )
    together = items.Items(
        found.primary, {found.primary: wide, 77: gain, 78: note},
        (items.Reference(b"auxl", 77, (found.primary,)), items.Reference(b"cdsc", 78, (found.primary,))),
    )  # fmt: skip
    head = plain[: int.from_bytes(plain[:4], "big")]
    source = items.write(head, together, [made.box(b"uuid", b"0123456789abcdef" + b"private")])
    content, lost = again(source)
    after = items.read(content)
    assert after is not None and lost == ()
    assert after.items[77].data == gain.data and after.items[78].data == note.data
    assert any(box[4:8] == b"pasp" for box, _ in after.items[after.primary].properties)
    assert b"0123456789abcdefprivate" in content
    assert {"gain map", "pixel aspect ratio (pasp)"} <= set(again(source, "PNG")[1])
    thumbnail = items.Items(
        found.primary, {found.primary: primary, 79: items.numbered(primary, 79)},
        (items.Reference(b"thmb", 79, (found.primary,)),),
    )  # fmt: skip
    assert again(items.write(head, thumbnail, []))[1] == ("thumbnail",)


def test_a_profile_of_a_bmp_is_read_and_kept() -> None:
    content, lost = again(made.bmp_with_profile(SRGB))
    assert lost == () and read_image(content).metadata.icc_profile == SRGB
    assert opened(content).size == (56, 40)
    assert "ICC profile" in again(made.bmp_with_profile(SRGB), "GIF")[1]


def test_the_fourth_byte_of_a_bmp_is_named() -> None:
    pixels = np.dstack([np.full((40, 56, 3), 90, np.uint8), np.full((40, 56, 1), 128, np.uint8)])
    head = struct.pack("<IiiHHIIiiII", 40, 56, -40, 1, 32, 0, 0, 0, 0, 0, 0)
    content = b"BM" + struct.pack("<IHHI", 54 + pixels.size, 0, 0, 54) + head + pixels.tobytes()
    assert again(content)[1] == ("fourth byte of each pixel",)


@pytest.mark.parametrize("mode", ["RGB", "P"])
def test_significant_bits_and_background_stay(mode: str) -> None:
    plain = saved(sample(mode), "PNG")
    colour = b"\2" if mode == "P" else struct.pack(">HHH", 10, 20, 30)
    extra = made.chunk(b"sBIT", b"\5\6\5")
    before_pixels = plain.index(b"IDAT") - 4
    content = plain[:33] + extra + plain[33:before_pixels] + made.chunk(b"bKGD", colour) + plain[before_pixels:]
    output, _ = again(content)
    chunks = dict(png_file.chunks(output))
    assert chunks[b"sBIT"] == b"\5\6\5"
    palette = dict(png_file.chunks(content)).get(b"PLTE", b"")
    assert chunks[b"bKGD"] == (colour if mode == "RGB" else b"".join(bytes([0, value]) for value in palette[6:9]))


def test_xmp_too_long_for_a_segment_becomes_extended() -> None:
    source = made.plain("PNG")
    source = source[:33] + made.chunk(b"iTXt", b"XML:com.adobe.xmp" + bytes(5) + made.LONG) + source[33:]
    content, lost = again(source, "JPEG")
    assert lost == () and b"HasExtendedXMP" in content
    joined = read_image(content).metadata.xmp
    assert joined is not None and joined.count(b"long edit history") == 6000


def test_a_chunk_in_a_frame_of_an_animation_is_named() -> None:
    content = animated("WEBP")
    at = content.index(b"ANMF")
    size = int.from_bytes(content[at + 4 : at + 8], "little")
    end = at + 8 + size + size % 2
    frame = content[at + 8 : end] + b"QRST" + struct.pack("<I", 4) + b"mine"
    content = content[:at] + b"ANMF" + struct.pack("<I", len(frame)) + frame + content[end:]
    content = content[:4] + struct.pack("<I", len(content) - 8) + content[8:]
    animation = read_animation(content)
    _, lost = encode_animation([marked(picture) for picture in animation.pictures], like=animation, format="WEBP")
    assert lost == ("WebP chunk QRST of a frame",)


def test_what_only_explains_samples_is_not_missed_elsewhere() -> None:
    plain = made.plain("PNG")
    source = plain[:33] + made.chunk(b"sRGB", b"\0") + made.chunk(b"gAMA", struct.pack(">I", 45455)) + plain[33:]
    assert again(source)[1] == again(source, "JPEG")[1] == ()
    turned = Image.Exif()
    turned[274] = 6
    assert again(saved(sample("RGB"), "AVIF", exif=turned), "PNG")[1] == ()


def test_a_gain_map_and_a_video_behind_it_are_two_things() -> None:
    gain = saved(sample("L"), "JPEG", xmp=made.PACKET.replace(b"dc:format", b'xmlns:hdrgm="x" hdrgm:Version'))
    source = made.plain("JPEG") + gain + made.VIDEO
    assert again(source)[0].endswith(gain + made.VIDEO)
    assert again(source, "PNG")[1] == ("gain map", "video of a motion photo")
