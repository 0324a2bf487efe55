"""File content to a ``Picture``, or an ``ImageError`` that says what is wrong with it."""

from __future__ import annotations

import io
import re
import sys
from contextlib import nullcontext

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from wam.errors import ImageError
from wam.pictures.colour import ColourSpace, coded_space, png_space, profile_space
from wam.pictures.formats import ANIMATED, GET_HEIF, Metadata, Samples, Settings, heif_works, quiet_pillow
from wam.pictures.metadata import png_chunks, read_metadata, read_settings
from wam.pictures.samples import GREY_MODES, Picture, turn, visible

MAX_PIXELS = 120_000_000  # larger pictures are refused before they are decoded, in pixels
KNOWN = "a PNG, JPEG, WebP, AVIF, HEIC, TIFF, BMP or GIF picture"
COPY_AGAIN = "copy or export it again"

_READABLE = ("PNG", "JPEG", "WEBP", "AVIF", "TIFF", "BMP", "GIF")
_SIGNATURES = {
    b"\x89PNG": "PNG",
    b"\xff\xd8": "JPEG",
    b"RIFF": "WebP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"GIF8": "GIF",
    b"BM": "BMP",
}


def decode(content: bytes, *, name: str, max_pixels: int = MAX_PIXELS) -> Picture:
    """The picture in ``content``; ``name`` is what errors call it. Raises ``ImageError`` as ``read_image`` does."""
    try:
        image = open_content(content)
        check_header(image, name, max_pixels=max_pixels)
        tiles = list(image.tile)
        if image.format != "TIFF":  # which turns itself upright while loading
            _load(image)
        check_end(image, content)
        with quiet_pillow():
            orientation = image.getexif().get(274, 1)
            metadata = read_metadata(image)
            settings = read_settings(image, content)
        _load(image)
        samples, mode = _samples(image, content, tiles)
    except ImageError:
        raise
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged files
        raise undecodable(content, name, error, max_pixels=max_pixels) from error
    if orientation not in range(1, 9):
        orientation = 1
    if image.format != "TIFF":
        samples = turn(samples, orientation)
    space = colour_space(metadata, settings, mode, grey=samples.shape[2] < 3)
    pixels, alpha = visible(samples, mode, space)
    return Picture(
        name=name,
        pixels=pixels,
        alpha=alpha,
        mode=mode,
        format="JPEG" if image.format == "MPO" else str(image.format),
        orientation=orientation,
        samples=samples if mode == "CMYK" or mode.endswith(";16") or space else None,
        metadata=metadata,
        settings=settings,
        space=space,
    )


def colour_space(metadata: Metadata, settings: Settings, mode: str, *, grey: bool) -> ColourSpace | None:
    """The space that a file states for its samples; None for sRGB, inks and what is not known."""
    if mode == "CMYK":
        return None
    if metadata.icc_profile is not None:
        return profile_space(metadata.icc_profile, grey=grey)
    if settings.colour_codes is not None:
        return coded_space(*settings.colour_codes, grey=grey)
    return png_space({kind: data for kind, data, _ in settings.chunks}, grey=grey) if settings.chunks else None


def open_content(content: bytes) -> ImageFile.ImageFile:
    is_heif = content[4:8] == b"ftyp" and content[8:11] != b"avi" and heif_works()
    with quiet_pillow():
        return Image.open(io.BytesIO(content), formats=(*_READABLE, "HEIF") if is_heif else _READABLE)


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
    if image.format not in ("MPO", "HEIF") and getattr(image, "is_animated", False) and not frames:
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
        return deep, ("I;16", "LA;16", "RGB;16", "RGBA;16")[deep.shape[2] - 1]
    if image.mode == "CMYK":
        return np.array(image), "CMYK"
    suffix = "A" if image.has_transparency_data else ""
    plain = ("L" if image.mode in GREY_MODES else "RGB") + suffix
    samples = np.array(image.convert(plain) if image.mode != plain else image)
    samples = samples.reshape(*samples.shape[:2], -1)
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
    if not content:
        found = "an empty file"
    elif kind:
        reason = "" if isinstance(error, UnidentifiedImageError) else f" ({error})"
        found = f"a {kind} file that is damaged, cut short or of an unknown kind{reason}"
    elif not content.strip(b"\0"):
        found = "only zero bytes"
    else:
        found, remedy = "no picture data", "name a picture or convert it"
    if kind == "HEIF" and not heif_works():
        found, remedy = "an HEIC file and no plugin for it", GET_HEIF
    return ImageError.about(name, expected=KNOWN, found=found, remedy=remedy)
