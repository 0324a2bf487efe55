"""Denoisers of other libraries, in 8 bits on the CPU; gradients pass straight through.

They take for noise what a mark adds, and are what "remove noise" buttons do. ``images`` are (B, 3, H, W) float in
[0, 1], RGB, here and in the results.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attacks.base import Kind, PixelKind, Strength, straight_through

_Pixels = NDArray[np.float32] | NDArray[np.uint8]


def nl_means(images: Tensor, strength: float) -> Tensor:
    """Non-local means of scikit-image, patches of 5 pixels within 13; ``strength`` h in units of the range."""
    from skimage.restoration import denoise_nl_means

    return on_arrays(
        images,
        lambda array: denoise_nl_means(array, 5, 6, strength, fast_mode=True, channel_axis=-1),
    )


def tv(images: Tensor, weight: float) -> Tensor:
    """Total variation of scikit-image (Chambolle 2004)."""
    from skimage.restoration import denoise_tv_chambolle

    return on_arrays(images, lambda array: denoise_tv_chambolle(array, weight, channel_axis=-1))


def cv_nl_means(images: Tensor, strength: float) -> Tensor:
    """Non-local means of OpenCV, ``strength`` h of luma and chroma in 8-bit levels."""
    cv2 = _opencv("cv_nl_means")
    return on_arrays(images, lambda array: cv2.fastNlMeansDenoisingColored(array, None, strength, strength), whole=True)


def cv_bilateral(images: Tensor, levels: float) -> Tensor:
    """Bilateral filter of OpenCV over 15 pixels; ``levels``: what counts as one surface, and its reach in pixels."""
    cv2 = _opencv("cv_bilateral")
    return on_arrays(images, lambda array: cv2.bilateralFilter(array, 15, levels, levels), whole=True)


def _opencv(name: str) -> Any:
    try:
        import cv2
    except ModuleNotFoundError as error:
        raise ValueError(f"{name}: expected OpenCV, found none; pip install opencv-python-headless") from error
    return cv2


def on_arrays(images: Tensor, function: Callable[[Any], _Pixels], *, whole: bool = False) -> Tensor:
    """A function of each picture as (H, W, 3): float32 in [0, 1], or uint8 where ``whole``."""
    values = images.detach().clamp(0, 1).permute(0, 2, 3, 1).cpu()
    if whole:
        arrays = list((values * 255).round().byte().contiguous().numpy())
        done = [np.asarray(function(array)).astype(np.float32) / 255 for array in arrays]
    else:
        arrays = list(values.float().contiguous().numpy())
        done = [np.asarray(function(array), dtype=np.float32) for array in arrays]
    changed = torch.from_numpy(np.stack(done)).permute(0, 3, 1, 2).contiguous()
    return straight_through(images, changed.clamp(0, 1).to(images))


NEEDS = {"cv_nl_means": ("cv2",), "cv_bilateral": ("cv2",), "nl_means": ("skimage",), "tv": ("skimage",)}  # modules

TABLE: dict[str, Kind] = {
    "nl_means": PixelKind("valuemetric", nl_means, Strength(0.005, 1)),
    "tv": PixelKind("valuemetric", tv, Strength(0.005, 1)),
    "cv_nl_means": PixelKind("valuemetric", cv_nl_means, Strength(1, 100)),
    "cv_bilateral": PixelKind("valuemetric", cv_bilateral, Strength(1, 255)),
}
