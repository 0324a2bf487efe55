"""Samples and metadata to the bytes of a file, as the table of ``formats`` says."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image

from wam.pictures.containers import bmp, gif, heif, iptc, jpeg, png, xmp
from wam.pictures.deep import encode_deep
from wam.pictures.encoding import patch_colour_codes
from wam.pictures.exactly import encode_exactly
from wam.pictures.formats import KEEPS, QUALITY, Metadata, Samples, Settings, quiet_pillow
from wam.pictures.metadata import EXIF_PREFIX, PNG_SIGNATURE, png_chunks
from wam.pictures.pillow import image_of
from wam.pictures.tiff_writer import encode_tiff

# a lossy picture is saved again as finely as it was, or finer in at most so many times its bytes
MOST_GROWTH = 1.3
QUALITY_OF_FINE = 96
# how many steps of quality take at most a fifth more bytes, by quality: measured on four photos
_STEPS = {
    "AVIF": ((0, 65, 80, 88, 92, 96), (5, 5, 4, 3, 2, 1)),
    "WEBP": ((0, 40, 70, 76, 85, 92, 96), (8, 12, 12, 4, 3, 2, 1)),
}


def encode(
    samples: Samples,
    *,
    format: str,
    mode: str,
    metadata: Metadata,
    settings: Settings,
    quality: int | None = None,
) -> bytes:
    """One file's bytes; ``samples`` is (H, W, C) uint8, or uint16 for PNG and TIFF.

    ``mode`` is one of ``MODES[format]``; ``quality`` (1 to 100) replaces the source's own.
    """
    if format == "PNG":
        return _encode_png(samples, mode, metadata, settings)
    if format == "TIFF":
        return encode_tiff(samples, mode, metadata, settings)
    if format in ("AVIF", "HEIF") and samples.dtype == np.uint16:
        return _with_items(_encode_deep(samples, format, metadata, settings, quality), metadata, settings)
    image = image_of(samples, mode)
    if format == "GIF":
        return _with_comments(_save(_indexed(image), "GIF"), metadata, settings)
    if format in ("AVIF", "HEIF"):
        return _encode_items(image, format, metadata, settings, quality)
    content = _save_as_fine(image, format, metadata, settings, quality)
    return bmp.with_profile(content, metadata.icc_profile) if format == "BMP" and settings.own_format else content


def _encode_items(
    image: Image.Image, format: str, metadata: Metadata, settings: Settings, quality: int | None
) -> bytes:
    """AVIF or HEIC: the codec's file holds the picture alone; the rest comes into it as it is."""
    plain = replace(metadata, exif=None, xmp=None)
    if settings.exact and quality is None:
        content = encode_exactly(image, format)
    else:
        content = _save_as_fine(image, format, plain, settings, quality)
    return _with_items(content, metadata, settings)


def _encode_deep(samples: Samples, format: str, metadata: Metadata, settings: Settings, quality: int | None) -> bytes:
    """AVIF or HEIC with more than 8 bits."""

    def save(chosen: int | None) -> bytes:
        exact = settings.exact and quality is None
        used = None if exact else chosen or QUALITY[format]
        return encode_deep(samples, format, settings.depth, quality=used, subsampling=settings.subsampling)

    return _as_fine(save, format, replace(metadata, exif=None, xmp=None), settings, quality)


def _with_items(content: bytes, metadata: Metadata, settings: Settings) -> bytes:
    content = heif.with_kept(
        content, settings.carried.items, exif=metadata.exif, packet=metadata.xmp, profile=metadata.icc_profile
    )
    return content if settings.colour_codes is None else patch_colour_codes(content, settings.colour_codes)


def _save_as_fine(
    image: Image.Image, format: str, metadata: Metadata, settings: Settings, quality: int | None
) -> bytes:
    """Encoded in the quality that is asked for, else as finely as the source, or finer where that takes few bytes more:
    in one try or two."""

    def save(chosen: int | None) -> bytes:
        return _save(image, format, **_options(image, format, metadata, settings, chosen))

    if format == "WEBP" and settings.lossless:
        return save(quality)
    return _as_fine(save, format, metadata, settings, quality)


def _as_fine(
    save: Callable[[int | None], bytes], format: str, metadata: Metadata, settings: Settings, quality: int | None
) -> bytes:
    if quality is not None or settings.source_quality is None:
        return save(quality)
    described = sum(len(data or b"") for data in (metadata.icc_profile, metadata.exif, metadata.xmp))
    least = max(1, min(settings.source_quality, QUALITY_OF_FINE))
    finer = min(QUALITY_OF_FINE, least + round(float(np.interp(least, *_STEPS[format]))))
    content = save(finer)
    fits = len(content) <= settings.coded_bytes * MOST_GROWTH + described
    return content if fits or finer == least else save(least)


def _save(image: Image.Image, format: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    if options.get("progressive"):
        # Pillow needs the whole progressive file in one block and guesses 2 bytes a pixel.
        with quiet_pillow(block_bytes=5 * image.width * image.height):
            image.save(stream, format, **options)
    elif format == "AVIF":  # Pillow parses the EXIF again, warning of every flaw
        with quiet_pillow():
            image.save(stream, format, **options)
    else:
        image.save(stream, format, **options)
    return stream.getvalue()


def _options(
    image: Image.Image, format: str, metadata: Metadata, settings: Settings, quality: int | None
) -> dict[str, Any]:
    carried = {name: getattr(metadata, name) for name in KEEPS[format] - {"text"}}
    options = {name: value for name, value in carried.items() if value}
    if format == "BMP":
        return {name: value for name, value in options.items() if name == "dpi"}
    options = {name: value for name, value in options.items() if name not in ("iptc", "photoshop")}
    if format == "WEBP":
        options["exact"] = True  # hidden colours stay
        if settings.background is not None:
            options["background"] = settings.background
        if settings.lossless and quality is None:
            return options | {"lossless": True}
    elif format in ("AVIF", "HEIF") and image.mode != "L":
        options["subsampling"] = settings.subsampling
    elif format == "JPEG":
        options |= _jpeg_options(image, options, metadata, settings)
        if quality is None and settings.tables:
            return options | {"qtables": [list(table) for table in settings.tables]}
    return options | {"quality": quality or QUALITY[format]}


def _jpeg_options(
    image: Image.Image, carried: dict[str, Any], metadata: Metadata, settings: Settings
) -> dict[str, Any]:
    options: dict[str, Any] = {"progressive": settings.progressive}
    if settings.segments:  # they hold all metadata but the resolution
        options |= {name: None for name in ("icc_profile", "xmp")}
        options |= {"exif": b"", "extra": settings.segments}
    else:
        options["exif"] = EXIF_PREFIX + carried["exif"] if "exif" in carried else b""
        options["extra"] = _other_segments(metadata)
        if len(metadata.xmp or b"") > jpeg.SEGMENT_BYTES - len(xmp.JPEG_START):
            options["xmp"] = None
    if image.mode == "RGB":
        options |= {"subsampling": settings.subsampling, "keep_rgb": settings.keep_rgb}
    return options


def _other_segments(metadata: Metadata) -> bytes:
    """Segments that Pillow does not write: Photoshop's resources with IPTC, and XMP too long for one segment."""
    segments = b""
    packet = metadata.xmp or b""
    if len(packet) > jpeg.SEGMENT_BYTES - len(xmp.JPEG_START):
        segments += jpeg.packet_segments(packet)
    segments += jpeg.photoshop_segments(iptc.block_of(metadata.iptc, metadata.photoshop or b""))
    comments = (value.encode()[: jpeg.SEGMENT_BYTES] for value in _comments(metadata))
    return segments + b"".join(jpeg.Segment(jpeg.COMMENT, data, 0).written() for data in comments)


def _comments(metadata: Metadata) -> list[str]:
    return [value for keyword, value in metadata.text if keyword == "Comment"]


def _with_comments(content: bytes, metadata: Metadata, settings: Settings) -> bytes:
    """A GIF with the comments of a picture from another format; those of a GIF are carried as they are."""
    comments = [] if settings.own_format else _comments(metadata)
    return gif.with_extensions(content, [gif.comment_of(one.encode()) for one in comments], None)


def _indexed(image: Image.Image) -> Image.Image:
    """Grey exactly; colours by an adaptive palette with error diffusion, which keeps the mark; 255 is clear."""
    if image.mode == "L":
        return image
    opaque = image.convert("RGB")
    palette = opaque.quantize(colors=255)
    indexed = opaque.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
    if image.mode != "RGB":
        indexed.paste(255, mask=image.getchannel("A").point(lambda alpha: 255 * (alpha < 128)))
        indexed.info["transparency"] = 255
    return indexed


def encode_frames(
    frames: Sequence[Samples],
    *,
    format: str,
    mode: str,
    metadata: Metadata,
    settings: Settings,
    durations: Sequence[int],
    loops: int | None,
    fallback: bool = False,
    quality: int | None = None,
) -> bytes:
    """One animation's bytes: frames of (H, W, C) uint8 shown for ``durations`` ms each, ``loops`` times, 0 for ever.

    ``fallback``: the first picture of a PNG is shown only where animations are not.
    """
    images = [image_of(frame, mode) for frame in frames]
    options: dict[str, Any] = {"save_all": True, "append_images": images[1:], "duration": list(durations)}
    if loops is not None or format != "GIF":  # a GIF that says nothing plays once
        options["loop"] = 1 if loops is None else loops
    if format == "GIF":
        indexed = [_indexed(image) for image in images]
        options |= {"append_images": indexed[1:], "disposal": 2 if mode.endswith("A") else 1, "optimize": False}
        return _with_comments(_save(indexed[0], "GIF", **options), metadata, settings)
    if format == "PNG":
        if fallback:
            options |= {"default_image": True, "duration": list(durations[1:])}
        return _png_of(list(png_chunks(_save(images[0], "PNG", **options))), metadata, settings)
    content = _save(images[0], format, **_options(images[0], format, metadata, settings, quality), **options)
    if format == "AVIF" and settings.carried.items is not None:
        return content + b"".join(settings.carried.items.boxes)
    return content


def _encode_png(samples: Samples, mode: str, metadata: Metadata, settings: Settings) -> bytes:
    height, width, bands = samples.shape
    if samples.dtype == np.uint8:
        return _png_of(list(png_chunks(_save(image_of(samples, mode), "PNG"))), metadata, settings)
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[bands]
    header = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    return _png_of([(b"IHDR", header), (b"IDAT", _deflate_rows(samples)), (b"IEND", b"")], metadata, settings)


def _png_of(pixels: list[tuple[bytes, bytes]], metadata: Metadata, settings: Settings) -> bytes:
    """A PNG of chunks that hold the pixels, with those that describe them put in their places."""
    chunks = settings.chunks or tuple(_chunks_of(metadata))
    ordered = [
        *pixels[:1],
        *((kind, data) for kind, data, after in chunks if not after),
        *pixels[1:-1],
        *((kind, data) for kind, data, after in chunks if after),
        *pixels[-1:],
    ]
    return PNG_SIGNATURE + b"".join(
        len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
        for kind, data in ordered
    )


def _deflate_rows(samples: Samples) -> bytes:
    """PNG rows with the Up filter, compressed: Pillow writes no 16-bit colour."""
    rows = np.ascontiguousarray(samples.astype(">u2")).view(np.uint8)
    rows = rows.reshape(samples.shape[0], -1)
    filtered = np.full((rows.shape[0], rows.shape[1] + 1), 2, dtype=np.uint8)
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    return zlib.compress(filtered.tobytes())


def _chunks_of(metadata: Metadata) -> Iterator[tuple[bytes, bytes, bool]]:
    """PNG chunks for metadata that comes from another format."""
    if metadata.icc_profile:
        yield b"iCCP", b"ICC Profile\0\0" + zlib.compress(metadata.icc_profile), False
    if metadata.dpi:
        per_metre = (min(round(value / 0.0254), 2**31 - 1) for value in metadata.dpi)
        yield b"pHYs", struct.pack(">IIB", *per_metre, 1), False
    if metadata.exif:
        yield b"eXIf", metadata.exif, False
    if metadata.xmp:
        yield b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + metadata.xmp, False
    block = iptc.block_of(metadata.iptc, metadata.photoshop or b"")
    if block:
        yield png.raw_profile_chunk("iptc", block)
    for keyword, value in metadata.text:
        yield b"iTXt", keyword.encode("latin-1") + b"\0\0\0\0\0" + value.encode(), False
