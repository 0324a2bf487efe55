"""Colour by profiles of tables and of inks, by LittleCMS (Pillow's ``ImageCms``), as colour-managed viewers show it.

What it has not is made here: the way back from a change in sRGB to samples that stay as near to theirs as can be
(profiles go back to inks of their own choice, or not at all), and 16 bits, of which it takes the upper eight.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from wam.pictures.colour import ColourSpace, Floats, icc_tags
from wam.pictures.formats import Samples

STEPS = 5  # of the way back; each halves what is missing, or better
SPACES = {"L": b"GRAY", "RGB": b"RGB ", "CMYK": b"CMYK"}


@dataclass(frozen=True, eq=False)
class ManagedSpace:
    """One colour space by its profile; ``mode`` L, RGB or CMYK as Pillow has it, 255 for full ink."""

    transform: ImageCms.ImageCmsTransform
    mode: str

    @property
    def bands(self) -> int:
        """1 for grey, 3 for colour, 4 for inks."""
        return len(self.mode)

    def show(self, samples: Samples) -> Floats:
        """(..., C) uint8 or uint16 -> sRGB as float32, 0 to 1; one band of grey stays one."""
        return self._shown(samples).astype(np.float32) / np.float32(255)

    def shift(self, samples: Samples, change: NDArray[np.integer]) -> Samples:
        """Samples moved by a change of sRGB in 8-bit levels, (..., 1 or 3); where it is zero they stay as they are."""
        wanted = (self._shown(samples) + np.asarray(change, np.int32)).clip(0, 255)
        most = np.iinfo(samples.dtype).max
        moved = samples.astype(np.float32)
        best, least = samples, np.full(samples.shape[:-1], np.inf, np.float32)
        for _ in range(STEPS + 1):
            tried = np.rint(moved).astype(samples.dtype)
            missing = (wanted - self._shown(tried)).astype(np.float32)
            error = np.abs(missing).sum(axis=-1)
            best = np.where((error < least)[..., None], tried, best)
            least = np.minimum(error, least)
            moved = self._nearer(moved, missing * (most / 255)).clip(0, most)
        moves = np.asarray(change).any(axis=-1, keepdims=True)
        return np.where(moves, best, samples).astype(samples.dtype)

    def _nearer(self, moved: Floats, missing: Floats) -> Floats:
        """Samples with what is missing added, as ink where they are ink: less of it is lighter."""
        if self.mode != "CMYK":
            return moved + missing
        inks = moved[..., :3] - missing
        lighter = np.maximum(-inks, 0).max(axis=-1, keepdims=True)  # where no colour is left to take, black is
        return np.concatenate([inks, moved[..., 3:] - lighter], axis=-1)

    def _shown(self, samples: Samples) -> NDArray[np.int32]:
        """(..., C) samples -> (..., 1 or 3) sRGB in 8-bit levels."""
        eight = samples if samples.dtype == np.uint8 else ((samples.astype(np.uint32) + 128) // 257).astype(np.uint8)
        count = eight.size // self.bands
        flat = Image.frombytes(self.mode, (count, 1), np.ascontiguousarray(eight).tobytes())
        shown: NDArray[np.int32] = np.asarray(self.transform.apply(flat), np.int32)
        return shown[..., : 1 if self.mode == "L" else 3].reshape(*samples.shape[:-1], -1)


AnySpace = ColourSpace | ManagedSpace


@lru_cache(maxsize=16)
def managed_space(profile: bytes, mode: str) -> ManagedSpace | None:
    """The space of a profile by tables or of inks; None where it is of another kind, of other bands, or damaged."""
    try:
        tables = {"A2B0", "A2B1"} & icc_tags(profile).keys()
        if profile[16:20] != SPACES[mode] or not tables:
            return None
        own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        transform = ImageCms.buildTransform(
            own,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except Exception:  # LittleCMS, and the parser of tags, have no common error for damaged profiles
        return None
    return ManagedSpace(transform, mode)
