"""A decoded picture, and its pixels between 8-bit RGB and the samples of its file."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wam.errors import ImageError
from wam.formats import DEEP_FORMATS, MODES, Metadata, Samples, Settings

Pixels = NDArray[np.uint8]

GREY_MODES = frozenset({"1", "L", "LA", "I;16", "LA;16"})


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded file, upright, with all that is needed to save it again."""

    name: str
    pixels: Pixels
    """(H, W, 3) uint8 RGB, EXIF orientation applied."""
    alpha: Pixels | None
    """(H, W) uint8, 0 is transparent."""
    mode: str
    """Pillow's mode of the source; `;16` is appended to those with 16 bits."""
    format: str
    """A key of `MODES`; what the content is, whatever the name says."""
    orientation: int
    """EXIF orientation of the stored pixels, 1 to 8."""
    samples: Samples | None
    """(H, W, C) uint16, or uint8 CMYK, upright; None if `pixels` and `alpha` hold everything."""
    metadata: Metadata
    settings: Settings

    @property
    def width(self) -> int:
        """Columns of `pixels`."""
        return self.pixels.shape[1]

    @property
    def height(self) -> int:
        """Rows of `pixels`."""
        return self.pixels.shape[0]


def turn(array: Samples, orientation: int) -> Samples:
    """Stored pixels turned upright: EXIF orientation 1 to 8. Swap 6 and 8 to turn back."""
    if orientation >= 5:
        array = array.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    return np.ascontiguousarray(array)


def visible(samples: Samples, mode: str) -> tuple[Pixels, Pixels | None]:
    """RGB and alpha as 8 bits; CMYK by Pillow's rule, R = (255 - K)(255 - C) / 255, no profile."""
    if mode == "CMYK":
        white = 255 - samples[..., 3:].astype(np.int32)
        product = samples[..., :3] * white + 128
        return (white - ((product >> 8) + product >> 8)).clip(0, 255).astype(np.uint8), None
    if samples.dtype == np.uint16:
        samples = ((samples.astype(np.uint32) + 128) // 257).astype(np.uint8)
    bands = samples.shape[2]
    alpha = np.ascontiguousarray(samples[..., -1]) if bands in (2, 4) else None
    colours = samples[..., :3] if bands >= 3 else samples[..., :1].repeat(3, axis=2)
    return np.ascontiguousarray(colours), alpha


def compose(marked: Pixels, like: Picture, format: str, name: str) -> tuple[Samples, str, tuple[str, ...]]:
    """Samples of `like` with the change that `marked` asks for, their mode, and what is lost."""
    alpha, modes, lost = like.alpha, MODES[format], _lost_samples(like, format)
    if alpha is not None:
        marked = np.where(alpha[..., None] == 0, like.pixels, marked)  # hidden colours stay
        if not {"LA", "RGBA"} & modes:
            if alpha.min() < 255:
                raise ImageError.about(
                    name,
                    expected=f"an opaque picture for {format}",
                    found="transparent parts",
                    remedy="write a .png",
                )
            alpha = None
    if like.mode == "CMYK" and "CMYK" in modes:
        return _inks(marked, like), "CMYK", lost
    deep = like.samples is not None and like.mode != "CMYK" and format in DEEP_FORMATS
    grey = like.mode in GREY_MODES and ("L" if alpha is None else "LA") in modes
    if deep and format == "TIFF" and alpha is not None:
        grey = False  # Pillow could not read such a file again
    wanted = _luma(marked) if grey else marked
    before = like.pixels[..., : wanted.shape[2]]
    mode = ("L" if grey else "RGB") + ("A" if alpha is not None else "")
    if not deep or like.samples is None:
        return (wanted if alpha is None else np.dstack([wanted, alpha])), mode, lost
    colours = like.samples[..., : 1 if like.mode in GREY_MODES else 3].astype(np.int32)
    colours = (colours + 257 * (wanted.astype(np.int32) - before)).clip(0, 65535)
    deepened: Samples = colours.astype(np.uint16)
    if alpha is not None:
        deepened = np.dstack([deepened, like.samples[..., -1]])
    return deepened, mode, lost


def _lost_samples(like: Picture, format: str) -> tuple[str, ...]:
    lost = []
    if like.mode in ("P", "PA", "1") and format != "GIF":
        lost.append("bilevel pixels" if like.mode == "1" else "palette")
    if like.mode.endswith(";16") and format not in DEEP_FORMATS:
        lost.append("bits beyond 8")
    if like.mode == "CMYK" and "CMYK" not in MODES[format]:
        lost.append("CMYK inks")
    if format == "GIF" and not (like.mode in GREY_MODES and like.alpha is None):
        lost.append("colours beyond 255")
    if like.alpha is not None and like.alpha.min() < 255:
        if format == "AVIF":
            lost.append("exact transparency")
        if format == "GIF" and ((like.alpha > 0) & (like.alpha < 255)).any():
            lost.append("partial transparency")
    return tuple(lost)


def _luma(pixels: Pixels) -> Pixels:
    """(H, W, 1) by Rec. 601, exact where R = G = B."""
    weighted = pixels @ np.array([299, 587, 114], dtype=np.int32)
    return ((weighted + 500) // 1000).astype(np.uint8)[..., None]


def _inks(marked: Pixels, like: Picture) -> Samples:
    """CMYK that `visible` shows as `marked`; inks of unchanged pixels stay as they are."""
    assert like.samples is not None
    before = like.samples.astype(np.int32)
    white = 255 - before[..., 3:]
    lighter = np.maximum(white, marked.max(axis=2, keepdims=True))  # less black where needed
    inks = np.rint(255 * (lighter - marked) / np.maximum(lighter, 1)).astype(np.int32)
    same = (marked == like.pixels) & (lighter == white)
    inks = np.where(same, before[..., :3], inks)
    return np.concatenate([inks, 255 - lighter], axis=2).astype(np.uint8)
