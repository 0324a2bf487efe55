"""Kinds of files: read as viewers read them, or called by their name with what to do."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin, features

from tests.wam.pictures.pictures import colours, marked, opened, sample, saved
from wam.errors import ImageError
from wam.pictures import kinds, reader
from wam.pictures.animation import read_animation
from wam.pictures.cut_short import png_chunk
from wam.pictures.files import encode_image, read_image
from wam.pictures.kinds import jxl_works

FLOW = b'{"nodes": [' + b'{"type": "KSampler"},' * 150_000 + b"]}"  # more than 1 MiB, as ComfyUI writes them


def png_with(*chunks: tuple[bytes, bytes], after: bool = False) -> bytes:
    plain = saved(sample("RGB"), "PNG")
    at = len(plain) - 12 if after else 33
    return plain[:at] + b"".join(png_chunk(*chunk) for chunk in chunks) + plain[at:]


LARGE = {
    "zTXt": b"workflow\0\0" + zlib.compress(FLOW),
    "iTXt": b"workflow\0\1\0\0\0" + zlib.compress(FLOW),
    "iCCP": b"lut\0\0" + zlib.compress(bytes(36) + b"acsp" + np.random.default_rng(0).bytes(1_300_000)),
}


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("kind", LARGE)
def test_compressed_text_and_profiles_of_more_than_a_mebibyte_are_read_and_kept(kind: str, after: bool) -> None:
    content = png_with((kind.encode(), LARGE[kind]), after=after)
    picture = read_image(content)
    again, lost = encode_image(marked(picture), like=picture, format="PNG")
    assert lost == () and LARGE[kind] in again


@pytest.mark.parametrize("kind", ["zTXt", "iTXt", "iCCP"])
def test_what_unpacks_beyond_all_bounds_is_left_out_and_named(kind: str) -> None:
    start = {"zTXt": b"a\0\0", "iTXt": b"a\0\1\0\0\0", "iCCP": b"a\0\0"}[kind]
    picture = read_image(png_with((kind.encode(), start + zlib.compress(bytes(reader.MAX_TEXT + 2)))))
    assert (picture.pixels == colours()).all()
    assert picture.settings.lost == (f"PNG chunk {kind} of more than 64 MiB",)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("kind", [b"tEXt", b"pHYs", b"gAMA", b"prVt"])
def test_a_wrong_check_sum_beside_the_pixels_costs_that_chunk(kind: bytes, after: bool) -> None:
    content = png_with((kind, b"Comment\0x"), (b"tEXt", b"Title\0kept"), after=after)
    at = content.find(kind)
    content = content[: at + 13] + bytes([content[at + 13] ^ 1]) + content[at + 14 :]
    picture = read_image(content)
    assert (picture.pixels == colours()).all() and picture.metadata.text == (("Title", "kept"),)
    assert picture.settings.lost == (f"PNG chunk {kind.decode()} with a wrong check sum",)
    again, lost = encode_image(marked(picture), like=picture, format="PNG")
    assert lost == picture.settings.lost and opened(again).text == {"Title": "kept"}


def test_a_wrong_check_sum_of_the_header_is_refused() -> None:
    content = bytearray(saved(sample("RGB"), "PNG"))
    at = content.find(b"IHDR")
    content[at + 4 + int.from_bytes(content[at - 4 : at], "big")] ^= 1
    with pytest.raises(ImageError, match="damaged"):
        read_image(bytes(content))


@pytest.mark.skipif(shutil.which("cjpeg") is None, reason="needs cjpeg of libjpeg-turbo")
@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("options", [(), ("-progressive",), ("-restart", "1")])
def test_jpeg_in_arithmetic_coding(mode: str, options: tuple[str, ...]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (400, 500, 3), dtype=np.uint8)  # more than Pillow reads at once
    source = saved(Image.fromarray(noise).convert(mode), "PPM")
    command = ["cjpeg", "-quality", "95", *options]
    coded = [
        subprocess.run([*command, *more], input=source, capture_output=True, check=True).stdout
        for more in ([], ["-arithmetic"])
    ]
    assert len(coded[1]) > 1 << 16
    plain, arithmetic = map(read_image, coded)
    assert (arithmetic.pixels == plain.pixels).all()
    assert arithmetic.mode == mode and arithmetic.settings.tables == plain.settings.tables


class TestTiffPages:
    def pages(self, *types: int | None, old: bool = False) -> bytes:
        """A page for each NewSubfileType, of its own size; None: without the tag."""
        stream = io.BytesIO()
        frames, infos = [], []
        for number, kind in enumerate(types):
            info = TiffImagePlugin.ImageFileDirectory_v2()
            if kind is not None:
                info[255 if old else 254] = kind
            infos.append(info)
            frames.append(Image.fromarray(colours(height=40 + number)))
        with TiffImagePlugin.AppendingTiffWriter(stream, new=True) as writer:
            for frame, info in zip(frames, infos, strict=True):
                frame.save(writer, "TIFF", tiffinfo=info)
                writer.newFrame()
        return stream.getvalue()

    @pytest.mark.parametrize(
        ("types", "old", "height"),
        [((None, 1), False, 40), ((0, 1, 1), False, 40), ((1, 0), False, 41), ((1, 2), True, 40), ((2, 1), True, 41)],
    )
    def test_the_page_that_is_no_thumbnail_is_the_picture(
        self, types: tuple[int | None, ...], old: bool, height: int
    ) -> None:
        content = self.pages(*types, old=old)
        picture = read_image(content)
        assert picture.height == height and (picture.pixels == colours(height=height)).all()
        assert len(read_animation(content).pictures) == 1
        again, lost = encode_image(marked(picture), like=picture, format="TIFF")
        assert "thumbnail pages" in lost and opened(again).n_frames == 1

    @pytest.mark.parametrize("types", [(None, None), (0, 2), (1, 1)])
    def test_several_pictures_are_refused(self, types: tuple[int | None, ...]) -> None:
        with pytest.raises(ImageError, match=r"several pages \(TIFF\)"):
            read_image(self.pages(*types))


@pytest.mark.skipif(not features.check("jpg_2000"), reason="needs a Pillow with JPEG 2000")
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "I;16"])
def test_jpeg_2000_is_read(mode: str) -> None:
    picture = read_image(saved(sample(mode), "JPEG2000"))
    assert (picture.mode, picture.format) == (mode, "JPEG2000")
    assert (
        np.array(opened(encode_image(picture.pixels, like=picture, format="PNG")[0])) == np.array(sample(mode))
    ).all()


def jxl(mode: str = "RGB", **options: object) -> bytes:
    pytest.importorskip("pillow_jxl", reason="needs the extra [jxl]")
    return saved(sample(mode), "JXL", lossless=True, **options)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_jpeg_xl_is_read(mode: str) -> None:
    content = jxl(mode)
    picture = read_image(content)
    assert (picture.format, picture.mode) == ("JXL", mode)
    assert (
        np.array(opened(encode_image(picture.pixels, like=picture, format="PNG")[0])) == np.array(sample(mode))
    ).all()


def test_without_its_plugin_jpeg_xl_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    content = jxl() if jxl_works() else b"\xff\x0a" + bytes(64)
    monkeypatch.setattr(kinds, "find_spec", lambda name: None)
    with pytest.raises(ImageError, match=r"found a JPEG XL picture and no plugin for it, run: pip install pillow-jxl"):
        read_image(content)


def tiff(**tags: int) -> bytes:
    """A small TIFF whose tags say something that its samples need not be."""
    content = bytearray(saved(sample("L"), "TIFF"))
    (start,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, start)
    for entry in range(start + 2, start + 2 + 12 * count, 12):
        (tag,) = struct.unpack_from("<H", content, entry)
        if f"t{tag}" in tags:
            struct.pack_into("<HIHH", content, entry + 2, 3, 1, tags[f"t{tag}"], 0)
    return bytes(content)


FOREIGN = {
    "a PDF document": b"%PDF-1.7\n" + bytes(90),
    "an SVG drawing": b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>',
    "a web page": b"  <!DOCTYPE html><html></html>",
    "a Photoshop file": b"8BPS\0\1" + bytes(90),
    "a Netpbm picture": b"P6\n1 1\n255\n\0\0\0",
    "an icon file": b"\0\0\1\0\1\0" + bytes(90),
    "an OpenEXR picture": b"v/1\1" + bytes(90),
    "a video": b"\0\0\0\x18ftypmp42" + bytes(90),
    "a camera raw file": b"\0\0\0\x18ftypcrx " + bytes(90),
    "a TIFF compressed as WebP": tiff(t259=50001),
    "a TIFF compressed as JPEG 2000": tiff(t259=34712),
    r"a TIFF in CIE L\*a\*b\* colours": tiff(t262=8),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_what_is_not_read_is_called_by_its_name(name: str) -> None:
    with pytest.raises(ImageError, match=f"found {name}, which is not read here, ") as error:
        read_image(FOREIGN[name])
    assert "damaged" not in str(error.value)


@pytest.mark.parametrize("length", range(4, 9))
def test_a_tiff_that_ends_in_its_header_is_one_line(length: int) -> None:
    with pytest.raises(ImageError, match=r"expected .*, found a TIFF file that is damaged, cut short") as error:
        read_image(b"II*\0\x08\0\0\0"[:length])
    assert "\n" not in str(error.value)


def test_floats_in_a_tiff_are_called_so() -> None:
    with pytest.raises(ImageError, match="F stored as F;32F"):
        read_image(saved(sample("F"), "TIFF"))


def test_no_plugin_is_imported_for_other_files() -> None:
    code = "import sys; from wam.pictures.files import read_image; read_image(sys.stdin.buffer); print(*sys.modules)"
    root = str(Path(reader.__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", code], input=saved(sample("RGB"), "PNG"), capture_output=True, cwd=root
    )
    assert not {b"pillow_jxl", b"pillow_heif"} & set(done.stdout.split())
