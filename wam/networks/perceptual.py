"""Just-noticeable difference: how many 8-bit levels a picture hides at each pixel.

A model of luminance adaptation and contrast masking in the manner of Chou and Li (1995), made for a pattern of middle
frequencies: masking by texture counts only where the whole neighbourhood is textured, so that the smooth side of an
edge is not given the amplitude of the edge itself.
"""

from __future__ import annotations

from torch import Tensor

from wam.signal.filters import box_max, box_mean, luma

FLOOR = 0.9  # levels rms that a flat mid-grey area hides from a viewer at 100%
MASKING = 0.30  # levels of hiding per level of local texture
DARK = 1.2  # extra levels in black, falling linearly to none at level 96
BRIGHT = 0.5  # extra levels in white, rising linearly from level 160


def jnd(images: Tensor) -> Tensor:
    """Hidden amplitude per pixel: images (B, 3, H, W) in [0, 1] at working resolution -> (B, 1, H, W), 8-bit levels."""
    levels = luma(images) * 255.0
    mean = box_mean(levels, 7)
    masking = MASKING * _texture(levels)
    dark = DARK * (1 - mean / 96).clamp(0, 1)
    bright = BRIGHT * ((mean - 160) / 95).clamp(0, 1)
    return FLOOR + dark + bright + masking


def texture(images: Tensor) -> Tensor:
    """Local deviation that hides a pattern: (B, 3, H, W) in [0, 1] -> (B, 1, H, W), 8-bit levels."""
    return _texture(luma(images) * 255.0)


def _texture(levels: Tensor) -> Tensor:
    deviation = (box_mean((levels - box_mean(levels, 5)) ** 2, 7) + 1e-6).sqrt()
    steady = -box_max(-deviation, 7)  # the calmest spot of the neighbourhood decides
    return 0.35 * deviation + 0.65 * box_mean(steady, 5)


def high_pass(images: Tensor) -> tuple[Tensor, Tensor]:
    """The picture's own noise where a pattern is: luma less its local mean, and the local mean square of that.

    images (B, 3, H, W) in [0, 1] -> (B, 1, H, W) each, 8-bit levels and squared levels.
    """
    levels = luma(images) * 255
    residual = levels - box_mean(levels, 5)
    return residual, box_mean(residual.square(), 9)
