"""File content to a ``Picture``, or an ``ImageError`` that says what is wrong with it."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import replace
from typing import TypeVar

import numpy as np
from PIL import Image, ImageFile, PngImagePlugin, UnidentifiedImageError

from wam.errors import ImageError
from wam.pictures.colour import coded_space, png_space, profile_space
from wam.pictures.containers.inventory import inventory
from wam.pictures.cut_short import completions, why_not, without_bad_chunks
from wam.pictures.deep import decode_deep
from wam.pictures.encoding import read_settings
from wam.pictures.formats import ANIMATED, Metadata, Samples, Settings, heif_works, quiet_pillow
from wam.pictures.kinds import JPEG2000_STARTS, JXL_STARTS, jxl_works, unsupported
from wam.pictures.managed_colour import AnySpace, managed_space
from wam.pictures.metadata import png_chunks, read_metadata
from wam.pictures.pillow import samples_of
from wam.pictures.samples import GREY_MODES, Picture, turn, visible

Result = TypeVar("Result")

MAX_PIXELS = 120_000_000  # larger pictures are refused before they are decoded, in pixels
MAX_TEXT = 1 << 26  # of all compressed text, and of a profile, in a PNG: larger ones are left out, in bytes
KNOWN = "a PNG, JPEG, WebP, AVIF, HEIC, TIFF, BMP or GIF picture"
COPY_AGAIN = "copy or export it again"

_READABLE = ("PNG", "JPEG", "WEBP", "AVIF", "TIFF", "BMP", "GIF", "JPEG2000")
_DEEP_MODES = ("I;16", "LA;16", "RGB;16", "RGBA;16")  # by the samples of a pixel
_SIGNATURES = (
    {
        b"\x89PNG": "PNG",
        b"\xff\xd8": "JPEG",
        b"RIFF": "WebP",
        b"II*\0": "TIFF",
        b"MM\0*": "TIFF",
        b"GIF8": "GIF",
        b"BM": "BMP",
    }
    | {start: "JPEG XL" for start in JXL_STARTS}
    | {start: "JPEG 2000" for start in JPEG2000_STARTS}
)
PngImagePlugin.MAX_TEXT_CHUNK = MAX_TEXT  # Pillow's own bound, 1 MiB, is less than what picture generators write


class DamagedError(ImageError):
    """A file that begins as a picture and cannot be decoded."""


def decode(content: bytes, *, name: str, max_pixels: int = MAX_PIXELS) -> Picture:
    """The picture in ``content``; ``name`` is what errors call it. Raises ``ImageError`` as ``read_image`` does."""
    sound, lost = without_bad_chunks(content, MAX_TEXT)
    try:
        picture = _decoded(sound, name, max_pixels=max_pixels)
    except ImageError:
        raise
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged files
        raise undecodable(content, name, error, max_pixels=max_pixels) from error
    return replace(picture, settings=replace(picture.settings, lost=picture.settings.lost + lost))


def read_what_is_there(content: bytes, read: Callable[[bytes], Result]) -> tuple[Result, bool]:
    """What ``read`` makes of a file, or of as much as a viewer shows of one that is cut short, and whether it is cut.

    For reading only. Raises what ``read`` raises where that does not help.
    """
    try:
        return read(content), False
    except DamagedError as error:
        for whole in completions(content):
            with suppress(ImageError):
                return read(whole), True
        raise error from None  # what is there does not make a picture: the first error says why


def _decoded(content: bytes, name: str, *, max_pixels: int) -> Picture:
    """The picture; raises nearly anything on damaged files."""
    image = open_content(content)
    check_header(image, name, max_pixels=max_pixels)
    tiles = list(image.tile)
    if image.format != "TIFF":  # which turns itself upright while loading
        # all at once: the decoder of arithmetic coding cannot wait for more, and Pillow would give it 64 KiB
        image.decodermaxblock = max(image.decodermaxblock, len(content) if image.format == "JPEG" else 0)
        _load(image)
    check_end(image, content)
    with quiet_pillow():
        # JPEG XL turns its pixels itself, whatever the EXIF in it says
        orientation = 1 if image.format == "JXL" else image.getexif().get(274, 1)
        format = "JPEG" if image.format == "MPO" else str(image.format)
        parts = inventory(content, format)
        metadata = read_metadata(image, parts)
        settings = read_settings(image, content)
    _load(image)
    samples, mode = _samples(image, content, tiles)
    if settings.depth > 8:
        samples = decode_deep(content, format, settings.depth)
        mode = _DEEP_MODES[samples.shape[2] - 1]
    if orientation not in range(1, 9):
        orientation = 1
    turned = image.format == "TIFF"
    del image  # which takes as much memory again
    if not turned:
        samples = turn(samples, orientation)
    space = colour_space(metadata, settings, mode, grey=samples.shape[2] < 3)
    pixels, alpha = visible(samples, mode, space)
    return Picture(
        name=name,
        pixels=pixels,
        alpha=alpha,
        mode=mode,
        format=format,
        orientation=orientation,
        samples=samples if mode == "CMYK" or mode.endswith(";16") or space else None,
        metadata=metadata,
        settings=settings,
        space=space,
        parts=parts,
    )


def colour_space(metadata: Metadata, settings: Settings, mode: str, *, grey: bool) -> AnySpace | None:
    """The space that a file states for its samples; None for sRGB, inks without a profile and what is not known."""
    profile = metadata.icc_profile
    if mode == "CMYK":
        return None if profile is None else managed_space(profile, mode)
    if profile is not None:
        return profile_space(profile, grey=grey) or managed_space(profile, "L" if grey else "RGB")
    if settings.colour_codes is not None:
        return coded_space(*settings.colour_codes, grey=grey)
    return png_space({kind: data for kind, data, _ in settings.chunks}, grey=grey) if settings.chunks else None


def open_content(content: bytes) -> ImageFile.ImageFile:
    """The file's picture, not decoded yet; of a TIFF with thumbnails the page that is none."""
    formats: tuple[str, ...] = _READABLE
    if content[4:8] == b"ftyp" and content[8:11] != b"avi" and heif_works():
        formats += ("HEIF",)
    elif content.startswith(JXL_STARTS) and jxl_works():
        formats += ("JXL",)
    with quiet_pillow():
        image = Image.open(io.BytesIO(content), formats=formats)
        if image.format == "TIFF" and getattr(image, "n_frames", 1) > 1:
            whole = _whole_pages(image)
            image.seek(whole[0] if len(whole) == 1 else 0)
        return image


def _whole_pages(image: ImageFile.ImageFile) -> list[int]:
    """The pages of a TIFF that are not another one reduced (tag 254, bit 0, or 255 of value 2)."""
    pages = []
    for page in range(getattr(image, "n_frames", 1)):
        image.seek(page)
        tags = image.tag_v2  # type: ignore[attr-defined]
        if not tags.get(254, 0) & 1 and tags.get(255) != 2:
            pages.append(page)
    return pages


def has_thumbnail_pages(image: ImageFile.ImageFile) -> bool:
    """Whether all pages of a TIFF but one, which is the picture, show the same smaller."""
    if image.format != "TIFF" or getattr(image, "n_frames", 1) < 2:
        return False
    here = image.tell()
    with quiet_pillow():
        pages = _whole_pages(image)
        image.seek(here)
    return len(pages) == 1


def is_still(image: ImageFile.ImageFile) -> bool:
    """Whether a file holds one picture, further ones beside it aside."""
    animated = getattr(image, "is_animated", False) and image.format not in ("MPO", "HEIF")
    return not animated or has_thumbnail_pages(image)


def _load(image: ImageFile.ImageFile) -> None:
    """Decodes, in parallel with other threads unless this decoder is one that warns."""
    with quiet_pillow() if image.format in ("TIFF", "GIF") else nullcontext():
        image.load()


def check_header(image: ImageFile.ImageFile, name: str, *, frames: bool = False, max_pixels: int = MAX_PIXELS) -> None:
    """Refuses what must not, or cannot, be decoded to one picture, or with ``frames`` to several."""

    def refuse(expected: str, found: str, remedy: str) -> ImageError:
        return ImageError.about(name, expected=expected, found=found, remedy=remedy)

    size = f"{image.width}x{image.height}"
    if image.width * image.height > max_pixels:
        raise refuse(f"at most {max_pixels:,} pixels", size, "use a smaller copy")
    if min(image.size) < 1:
        raise refuse("a picture with pixels", size, COPY_AGAIN)
    if not frames and not is_still(image):
        found = f"an animation or several pages ({image.format})"
        option = "use --all-frames, or " if image.format in ANIMATED else ""
        raise refuse("one still picture", found, f"{option}save the frame you want as a file of its own")
    rawmode = _rawmode(image.tile[0]) if image.tile else ""
    tags = getattr(image, "tag_v2", {})
    planes = tags.get(284) == 2 and max(tags.get(258, (1,))) > 8
    colour16 = ";16" in rawmode and not image.mode.startswith("I;16")
    odd = colour16 and not re.fullmatch(r"(LA|RGB|RGBA|RGBX);16[LBN]", rawmode)
    if planes or odd or rawmode == "I;12" or image.mode in ("I", "F", "LAB", "HSV"):
        found = f"{image.mode} stored as {rawmode}{' in separate planes' if planes else ''}"
        raise refuse("8 or 16-bit grey, RGB or RGBA, or 8-bit CMYK", found, "convert it first")


def _rawmode(tile: ImageFile._Tile) -> str:
    return str(tile.args if isinstance(tile.args, str) else (tile.args or ("",))[0])


def _samples(image: ImageFile.ImageFile, content: bytes, tiles: list[ImageFile._Tile]) -> tuple[Samples, str]:
    """(H, W, C) samples of a loaded picture, in L, LA, RGB, RGBA or CMYK, and their mode."""
    if image.mode.startswith("I;16") or (tiles and ";16" in _rawmode(tiles[0])):
        deep = _deep_samples(image, content, tiles)
        return deep, _DEEP_MODES[deep.shape[2] - 1]
    if image.mode == "CMYK":
        return samples_of(image), "CMYK"
    suffix = "A" if image.has_transparency_data else ""
    plain = ("L" if image.mode in GREY_MODES else "RGB") + suffix
    samples = samples_of(image.convert(plain) if image.mode != plain else image)
    greys = image.mode == "P" and (samples[..., :2] == samples[..., 1:3]).all()
    if greys and "icc_profile" not in image.info:  # a grey file cannot hold an RGB profile
        return samples[..., 2:], f"L{suffix}"
    return samples, image.mode


def _deep_samples(image: ImageFile.ImageFile, content: bytes, tiles: list[ImageFile._Tile]) -> Samples:
    """All 16 bits; Pillow keeps the high bytes of colour, so the low ones are decoded apart."""
    key = image.info.get("transparency")
    if image.mode.startswith("I;16"):
        deep = np.asarray(image).astype(np.uint16)[..., None]
        if image.format == "TIFF" and image.tag_v2.get(262) == 0:  # type: ignore[attr-defined]
            deep = 65535 - deep
    elif _rawmode(tiles[0]) == "LA;16B":
        four = _retiled(content, [tiles[0]._replace(args="RGBA")])  # grey and alpha, two bytes each
        deep = four[..., ::2] * np.uint16(256) + four[..., 1::2]
    else:
        low = _retiled(content, [_low_bytes(tile) for tile in tiles])
        deep = np.asarray(image) * np.uint16(256) + low
    if key is not None:
        opaque = (deep != np.asarray(key, dtype=np.uint16)).any(axis=2, keepdims=True)
        deep = np.concatenate([deep, opaque * np.uint16(65535)], axis=2)
    return deep


def _retiled(content: bytes, tiles: list[ImageFile._Tile]) -> Samples:
    image = open_content(content)
    image.tile = tiles
    _load(image)
    return np.asarray(image)


def _low_bytes(tile: ImageFile._Tile) -> ImageFile._Tile:
    """The same pixels read in the other byte order, whose high bytes are our low ones."""
    mode = _rawmode(tile)
    other = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
    swapped = mode[:-1] + other[mode[-1]]
    if isinstance(tile.args, str):
        return tile._replace(args=swapped)
    return tile._replace(args=(swapped, *(tile.args or ())[1:]))


def check_end(image: ImageFile.ImageFile, content: bytes) -> None:
    """Raises ``OSError`` for a PNG that is cut before its end, of which Pillow shows what there is."""
    if image.format == "PNG" and all(kind != b"IEND" for kind, _ in png_chunks(content)):
        raise OSError("no IEND chunk")


def undecodable(content: bytes, name: str, error: Exception, *, max_pixels: int = MAX_PIXELS) -> ImageError:
    """What is wrong with a file that no decoder takes, in words."""
    if isinstance(error, Image.DecompressionBombError):
        pixels = re.search(r"\((\d+) pixels\)", str(error))
        found = f"{int(pixels[1]):,}" if pixels else "more"
        return ImageError.about(
            name,
            expected=f"at most {max_pixels:,} pixels",
            found=found,
            remedy="use a smaller copy",
        )
    kind = next((kind for start, kind in _SIGNATURES.items() if content.startswith(start)), None)
    if content[4:8] == b"ftyp":
        kind = "AVIF" if content[8:11] == b"avi" else "HEIF"
    remedy = COPY_AGAIN
    kind_of_error = ImageError
    other = unsupported(content) if content else None
    if not content:
        found = "an empty file"
    elif other is not None:
        found, remedy = other
    elif kind:
        kind_of_error = DamagedError
        reason = "" if isinstance(error, UnidentifiedImageError) else f" ({error})"
        short = why_not(content) if kind in ("AVIF", "HEIF") else None
        article = "an" if kind == "AVIF" else "a"
        found = f"{article} {kind} file that is {short or 'damaged, cut short or of an unknown kind'}{reason}"
    elif not content.strip(b"\0"):
        found = "only zero bytes"
    else:
        found, remedy = "no picture data", "name a picture or convert it"
    return kind_of_error.about(name, expected=KNOWN, found=found, remedy=remedy)
