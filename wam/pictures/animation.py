"""Animations: every frame as a picture, and marked frames back to an animation with its timing.

Frames are whole pictures of 8 bits, as a viewer shows them one after the other; the parts that a file stores of each
frame are not kept apart.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO

import numpy as np
from PIL import ImageFile

from wam.errors import ImageError
from wam.pictures.containers.inventory import inventory
from wam.pictures.containers.parts import Part
from wam.pictures.cut_short import without_bad_chunks
from wam.pictures.encoding import read_settings
from wam.pictures.files import copies_of, describe, encode_image, finished, read_content
from wam.pictures.formats import ANIMATED, Metadata, Settings, quiet_pillow
from wam.pictures.managed_colour import AnySpace
from wam.pictures.metadata import read_metadata
from wam.pictures.reader import (
    MAX_PIXELS,
    MAX_TEXT,
    check_end,
    check_header,
    colour_space,
    decode,
    is_still,
    open_content,
    undecodable,
)
from wam.pictures.samples import Picture, Pixels, compose, visible
from wam.pictures.writer import encode_frames


@dataclass(frozen=True, eq=False)
class Animation:
    """A decoded file of one or several frames, all of one size."""

    pictures: tuple[Picture, ...]
    durations: tuple[int, ...]  # how long each frame is shown, ms; 0 for a still picture
    loops: int | None  # how often it plays as the file says, 0 for ever; None if it says nothing
    fallback: bool = False  # a PNG whose first picture is shown only where animations are not


def read_animation(source: str | os.PathLike[str] | bytes | BinaryIO, *, max_pixels: int = MAX_PIXELS) -> Animation:
    """Reads all frames of a GIF, WebP, PNG or AVIF; any other still picture is one frame.

    Raises ``ImageError`` as ``read_image`` does, and when all frames together are more than ``max_pixels``.
    """
    content, name = read_content(source)
    return decode_animation(content, name=name, max_pixels=max_pixels)


def decode_animation(content: bytes, *, name: str, max_pixels: int = MAX_PIXELS) -> Animation:
    """The same of a file's content; ``name`` is what errors call it."""
    sound, lost = without_bad_chunks(content, MAX_TEXT)
    try:
        image = open_content(sound)
        check_header(image, name, frames=True, max_pixels=max_pixels)
        if is_still(image):
            return Animation((decode(content, name=name, max_pixels=max_pixels),), (0,), None)
        _check_frames(image, name, max_pixels)
        with quiet_pillow():
            parts = inventory(sound, str(image.format))
            metadata, settings = read_metadata(image, parts), read_settings(image, sound)
            settings = replace(settings, lost=settings.lost + lost)
            frames, durations = _frames(image)
        check_end(image, content)
    except ImageError:
        raise
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged files
        raise undecodable(content, name, error, max_pixels=max_pixels) from error
    if all(frame[..., 3].min() == 255 for frame in frames):
        frames = [np.ascontiguousarray(frame[..., :3]) for frame in frames]
    mode = "P" if image.format == "GIF" else "RGB" if frames[0].shape[2] == 3 else "RGBA"
    space = colour_space(metadata, settings, mode, grey=False)
    format = str(image.format)
    pictures = tuple(_picture(frame, name, mode, format, metadata, settings, space, parts) for frame in frames)
    fallback = bool(getattr(image, "default_image", False)) and len(pictures) > 1
    if fallback:
        durations[0] = 0
    return Animation(pictures, tuple(durations), image.info.get("loop"), fallback)


def _check_frames(image: ImageFile.ImageFile, name: str, max_pixels: int) -> None:
    if image.format not in ANIMATED:
        raise ImageError.about(
            name,
            expected=f"an animation of {', '.join(sorted(ANIMATED))}",
            found=f"several pages ({image.format})",
            remedy="save each page as a file of its own",
        )
    count = getattr(image, "n_frames", 1)
    if count * image.width * image.height > max_pixels:
        raise ImageError.about(
            name,
            expected=f"at most {max_pixels:,} pixels in all frames",
            found=f"{count} frames of {image.width}x{image.height}",
            remedy="use a shorter or smaller copy",
        )


def _frames(image: ImageFile.ImageFile) -> tuple[list[Pixels], list[int]]:
    """Each frame as (H, W, 4) uint8, and how long it is shown."""
    frames, durations = [], []
    for index in range(getattr(image, "n_frames", 1)):
        image.seek(index)
        image.load()
        frames.append(np.array(image.convert("RGBA")))
        durations.append(round(image.info.get("duration", 0)))
    return frames, durations


def _picture(
    frame: Pixels,
    name: str,
    mode: str,
    format: str,
    metadata: Metadata,
    settings: Settings,
    space: AnySpace | None,
    parts: tuple[Part, ...],
) -> Picture:
    pixels, alpha = visible(frame, mode, space)
    return Picture(
        name=name,
        pixels=pixels,
        alpha=alpha,
        mode=mode,
        format=format,
        orientation=1,
        samples=None if space is None else frame,
        metadata=metadata,
        settings=settings,
        space=space,
        parts=parts,
    )


def encode_animation(
    pixels: Sequence[Pixels],
    *,
    like: Animation,
    format: str,
    quality: int | None = None,
    name: str | None = None,
) -> tuple[bytes, tuple[str, ...]]:
    """File content for the marked frames, and names for what it could not carry over.

    ``pixels`` holds (H, W, 3) uint8 RGB for each frame of ``like``. Raises ``ImageError`` for a format without
    animations; the rest as ``encode_image``.
    """
    first = like.pictures[0]
    name = name or first.name
    if len(like.pictures) == 1:
        return encode_image(pixels[0], like=first, format=format, quality=quality, name=name)
    if format not in ANIMATED:
        raise ImageError.about(
            name,
            expected=f"a format for animations ({', '.join(sorted(ANIMATED))})",
            found=format,
            remedy="write a .webp or .gif",
        )
    fallback = like.fallback and format == "PNG"
    skipped = 1 if like.fallback and not fallback else 0  # no other format has one
    shown = list(zip(pixels, like.pictures, strict=True))[skipped:]
    composed = [compose(frame, picture, format, name) for frame, picture in shown]
    mode = composed[0][1]
    copies = copies_of(first, format, pixels[0])
    metadata, settings = describe(first, format, mode, copies)
    lost = tuple(dict.fromkeys(part for _, _, parts in composed for part in parts)) + ("fallback picture",) * skipped
    try:
        content = encode_frames(
            [samples for samples, _, _ in composed],
            format=format,
            mode=mode,
            metadata=metadata,
            settings=settings,
            durations=like.durations[skipped:],
            loops=like.loops,
            fallback=fallback,
            quality=quality,
        )
    except Exception as error:  # Pillow's encoders have no common error
        size = f"{len(like.pictures)} frames of {first.width}x{first.height}"
        found = f"{size} ({error})"
        expected = f"an animation that fits {format}"
        raise ImageError.about(name, expected=expected, found=found, remedy="write a .webp") from error
    return finished(content, first, format, settings, metadata, copies, lost)
