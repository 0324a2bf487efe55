"""A decoded picture, and its pixels between 8-bit RGB and the samples of its file."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from wam.errors import ImageError
from wam.pictures.colour import strips
from wam.pictures.containers.parts import Part
from wam.pictures.formats import DEEP_FORMATS, KEEPS, MODES, Metadata, Samples, Settings
from wam.pictures.managed_colour import AnySpace

Pixels = NDArray[np.uint8]

GREY_MODES = frozenset({"1", "L", "LA", "I;16", "LA;16"})


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded file, upright, with all that is needed to save it again."""

    name: str
    pixels: Pixels  # (H, W, 3) uint8 sRGB as a viewer shows it: colour profile and EXIF orientation applied
    alpha: Pixels | None  # (H, W) uint8, 0 is transparent
    mode: str  # Pillow's mode of the source; ``;16`` is appended to those with 16 bits
    format: str  # a key of ``MODES``; what the content is, whatever the name says
    orientation: int  # EXIF orientation of the stored pixels, 1 to 8
    samples: Samples | None  # (H, W, C) of the file, upright; None if ``pixels`` and ``alpha`` hold everything
    metadata: Metadata
    settings: Settings
    space: AnySpace | None = None  # what ``samples`` mean, unless that is sRGB
    cut_short: bool = False  # the file ends too early: what is missing is filled up, for reading only
    parts: tuple[Part, ...] = ()  # what the file holds beside its picture
    signed: bytes | None = field(default=None, repr=False)  # the file's content, where it may hold a manifest

    @property
    def width(self) -> int:
        """Columns of ``pixels``."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Rows of ``pixels``."""
        return int(self.pixels.shape[0])


def turn(array: Samples, orientation: int) -> Samples:
    """Stored pixels turned upright: EXIF orientation 1 to 8. Swap 6 and 8 to turn back."""
    if orientation >= 5:
        array = array.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    return np.ascontiguousarray(array)


def visible(samples: Samples, mode: str, space: AnySpace | None = None) -> tuple[Pixels, Pixels | None]:
    """sRGB and alpha as 8 bits; CMYK without a profile by Pillow's rule, R = (255 - K)(255 - C) / 255."""
    height, width, bands = samples.shape
    has_alpha = mode != "CMYK" and bands in (2, 4)
    alpha = np.ascontiguousarray(_eight_bits(samples[..., -1])) if has_alpha else None
    colours = samples[..., :-1] if has_alpha else samples
    if colours.dtype == np.uint8 and colours.shape[2] == 3 and space is None:
        return np.ascontiguousarray(colours), alpha
    shown = np.empty((height, width, 3), np.uint8)
    for rows in strips(height, width * bands):
        shown[rows] = _shown(colours[rows], mode, space)
    return shown, alpha


def _shown(colours: Samples, mode: str, space: AnySpace | None) -> Pixels:
    """One strip of grey, RGB or CMYK samples as sRGB; grey stays one band."""
    if mode == "CMYK" and space is None:
        white = 255 - colours[..., 3:].astype(np.int32)
        product = colours[..., :3] * white + 128
        return (white - ((product >> 8) + product >> 8)).clip(0, 255).astype(np.uint8)
    if space is not None:
        shown: Pixels = np.rint((space.show(colours) * 255).clip(0, 255)).astype(np.uint8)
        return shown
    return _eight_bits(colours)


def _eight_bits(samples: Samples) -> Pixels:
    if samples.dtype == np.uint8:
        return samples
    return ((samples.astype(np.uint32) + 128) // 257).astype(np.uint8)


def compose(marked: Pixels, like: Picture, format: str, name: str) -> tuple[Samples, str, tuple[str, ...]]:
    """Samples of ``like`` with the change that ``marked`` asks for, their mode, and what is lost."""
    alpha, modes, lost = like.alpha, MODES[format], _lost_samples(like, format)
    if alpha is not None and not {"LA", "RGBA"} & modes:
        if alpha.min() < 255:
            raise ImageError.about(
                name,
                expected=f"an opaque picture for {format}",
                found="transparent parts",
                remedy="write a .png",
            )
        alpha = None
    if like.mode == "CMYK" and "CMYK" in modes:
        mode, deep = "CMYK", False
    else:
        grey = like.mode in GREY_MODES and ("L" if alpha is None else "LA") in modes
        deep = like.mode.endswith(";16") and keeps_deep(like, format)
        if deep and format == "TIFF" and alpha is not None:
            grey = False  # Pillow could not read such a file again
        profile = like.metadata.icc_profile or b""
        if format != like.format and profile[16:20] == b"RGB " and "icc_profile" in KEEPS[format]:
            grey = False  # a profile of colours describes no grey samples
        mode = ("L" if grey else "RGB") + ("A" if alpha is not None else "")
    own_space = carries_space(like, format, mode)
    if like.space is not None and like.space.bands == 3 and not own_space:
        lost += ("colours beyond sRGB",)
    if mode == "RGB" and not deep and like.alpha is None and (like.samples is None or not own_space):
        return marked, mode, lost  # as they are
    samples: Samples = np.empty((*marked.shape[:2], len(mode)), np.uint16 if deep else np.uint8)
    for rows in strips(like.height, like.width * 4):
        _fill(samples[rows], marked[rows], like, rows, mode, own_space)
    return samples, mode, lost


def keeps_deep(like: Picture, format: str) -> bool:
    """Whether a file of this format has more than 8 bits for samples that do."""
    return format in DEEP_FORMATS or (format == like.format and like.settings.depth > 8)


def carries_space(like: Picture, format: str, mode: str) -> bool:
    """Whether a file of this format and mode says which colour space its samples are of, as ``like`` does."""
    if like.space is None or like.space.bands != len(mode.removesuffix("A")):
        return False
    return format == like.format or (like.metadata.icc_profile is not None and "icc_profile" in KEEPS[format])


def _fill(target: Samples, marked: Pixels, like: Picture, rows: slice, mode: str, own_space: bool) -> None:
    """One strip of samples, colour and alpha, into ``target``."""
    before = like.pixels[rows]
    if like.alpha is not None:
        marked = np.where(like.alpha[rows, :, None] == 0, before, marked)  # hidden colours stay
    source = None if like.samples is None else like.samples[rows]
    if mode == "CMYK":
        assert source is not None
        change = marked.astype(np.int32) - before
        target[:] = _inks(marked, before, source) if like.space is None else like.space.shift(source, change)
        return
    deep = target.dtype == np.uint16
    bands = len(mode.removesuffix("A"))
    wanted = _luma(marked) if bands == 1 else marked
    if source is None or not (deep or own_space):
        target[..., :bands] = wanted
    else:
        change = wanted.astype(np.int32) - before[..., :bands]
        moved = _moved(source[..., : 1 if like.mode in GREY_MODES else 3], change, like.space, own_space)
        target[..., :bands] = moved if deep else _eight_bits(moved)
    if mode.endswith("A") and like.alpha is not None:
        target[..., -1] = source[..., -1] if deep and source is not None else like.alpha[rows]


def _moved(colours: Samples, change: NDArray[np.int32], space: AnySpace | None, own_space: bool) -> Samples:
    """Samples with a change of sRGB in 8-bit levels; in their own space, or as 16-bit sRGB."""
    if space is None:
        return (colours + 257 * change).clip(0, 65535).astype(np.uint16)
    if own_space:
        return space.shift(colours, change)
    moved: Samples = np.rint((space.show(colours) + change / 255).clip(0, 1) * 65535).astype(np.uint16)
    return moved


def _lost_samples(like: Picture, format: str) -> tuple[str, ...]:
    lost = []
    if like.mode in ("P", "PA", "1") and format != "GIF":
        lost.append("bilevel pixels" if like.mode == "1" else "palette")
    if like.mode.endswith(";16") and not keeps_deep(like, format):
        lost.append("bits beyond 8")
    if like.mode == "CMYK" and "CMYK" not in MODES[format]:
        lost.append("CMYK inks")
    if format == "GIF" and not (like.mode in GREY_MODES and like.alpha is None):
        lost.append("colours beyond 255")
    if like.alpha is not None and like.alpha.min() < 255:
        if format in ("AVIF", "HEIF"):
            lost.append("exact transparency")
        if format == "GIF" and ((like.alpha > 0) & (like.alpha < 255)).any():
            lost.append("partial transparency")
    return tuple(lost)


def _luma(pixels: Pixels) -> Pixels:
    """(H, W, 1) by ITU-R BT.601, exact where R = G = B: in whole numbers, unlike the floats of ``filters.luma``."""
    weighted = pixels @ np.array([299, 587, 114], dtype=np.int32)
    return ((weighted + 500) // 1000).astype(np.uint8)[..., None]


def _inks(marked: Pixels, shown: Pixels, inks: Samples) -> Samples:
    """CMYK that ``visible`` shows as ``marked``; inks of unchanged pixels stay as they are."""
    before = inks.astype(np.int32)
    white = 255 - before[..., 3:]
    lighter = np.maximum(white, marked.max(axis=2, keepdims=True))  # less black where needed
    wanted = np.rint(255 * (lighter - marked) / np.maximum(lighter, 1)).astype(np.int32)
    same = (marked == shown) & (lighter == white)
    wanted = np.where(same, before[..., :3], wanted)
    return np.concatenate([wanted, 255 - lighter], axis=2).astype(np.uint8)
