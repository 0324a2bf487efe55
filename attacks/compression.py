"""Real codecs, by Pillow, in 8 bits on the CPU; gradients pass straight through.

``images`` are (B, 3, H, W) float in [0, 1], RGB, here and in the results.
"""

from __future__ import annotations

import io
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import torch
from PIL import Image, features
from torch import Tensor

from attacks.base import Kind, PixelKind, Strength, straight_through

WORKERS = os.cpu_count() or 1  # images coded at the same time; Pillow lets go of the interpreter while it codes


def jpeg(images: Tensor, quality: float) -> Tensor:
    """Save and reopen as JPEG with Pillow's defaults: 4:2:0 chroma, standard tables."""
    return _recode(images, "JPEG", quality)


def webp(images: Tensor, quality: float) -> Tensor:
    """Save and reopen as lossy WebP with Pillow's defaults."""
    return _recode(images, "WEBP", quality)


def avif(images: Tensor, quality: float) -> Tensor:
    """Save and reopen as AVIF with Pillow's defaults, where this Pillow has the codec."""
    if not features.check("avif"):
        raise ValueError("avif: expected a Pillow with AVIF, found one without; pip install 'pillow>=11.3'")
    return _recode(images, "AVIF", quality)


def jpeg_2000(images: Tensor, ratio: float) -> Tensor:
    """Save and reopen as JPEG 2000 in one ``ratio``th of the raw size, with Pillow's defaults."""
    if not features.check("jpg_2000"):
        raise ValueError("jpeg_2000: expected a Pillow with JPEG 2000, found one without; pip install pillow")
    return _recode(images, "JPEG2000", ratio)


def jxl(images: Tensor, quality: float) -> Tensor:
    """Save and reopen as lossy JPEG XL."""
    try:
        import pillow_jxl  # noqa: F401  # it tells Pillow of the format
    except ModuleNotFoundError as error:
        raise ValueError("jxl: expected JPEG XL, found none; pip install pillow-jxl-plugin") from error
    return _recode(images, "JXL", quality)


def heic(images: Tensor, quality: float) -> Tensor:
    """Save and reopen as HEIC."""
    try:
        import pillow_heif
    except ModuleNotFoundError as error:
        raise ValueError("heic: expected HEIC, found none; pip install pillow-heif") from error
    pillow_heif.register_heif_opener()
    return _recode(images, "HEIF", quality)


def _recode(images: Tensor, codec: str, quality: float) -> Tensor:
    values = (images.detach() * 255).round().clamp(0, 255).byte()
    arrays = list(values.permute(0, 2, 3, 1).cpu().contiguous().numpy())
    recode_one = partial(_recode_one, codec=codec, quality=int(quality))
    if len(arrays) == 1:
        coded = [recode_one(arrays[0])]
    else:
        with ThreadPoolExecutor(min(WORKERS, len(arrays))) as pool:
            coded = list(pool.map(recode_one, arrays))
    back = torch.from_numpy(np.stack(coded)).permute(0, 3, 1, 2).contiguous()
    return straight_through(images, back.to(images) / 255)


def _recode_one(array: np.ndarray, *, codec: str, quality: int) -> np.ndarray:
    with io.BytesIO() as file:
        Image.fromarray(array).save(file, codec, **_options(codec, quality))
        with Image.open(file) as image:
            return np.array(image.convert("RGB"))


def _options(codec: str, quality: int) -> dict[str, Any]:
    if codec == "JPEG2000":  # without loss unless it is told otherwise
        return {"quality_mode": "rates", "quality_layers": [quality], "irreversible": True}
    return {"quality": quality}


NEEDS = {"jxl": ("pillow_jxl",), "heic": ("pillow_heif",)}  # modules that are not installed with the package
_QUALITY = Strength(1, 100, whole=True)

TABLE: dict[str, Kind] = {
    name: PixelKind("valuemetric", function, _QUALITY)
    for name, function in {"jpeg": jpeg, "webp": webp, "avif": avif, "jxl": jxl, "heic": heic}.items()
}
TABLE["jpeg_2000"] = PixelKind("valuemetric", jpeg_2000, Strength(1, 1000, whole=True))
