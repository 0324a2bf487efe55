"""Attacks on values: every pixel stays where it is.

``images`` are (B, 3, H, W) float in [0, 1], RGB, here and in the results.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageFilter
from torch import Tensor

from attacks import noise
from attacks.base import Kind, PixelKind, Strength, straight_through


def identity(images: Tensor) -> Tensor:
    """Change nothing."""
    return images


def brightness(images: Tensor, factor: float) -> Tensor:
    """Multiply all values, as torchvision's ``adjust_brightness``."""
    from kornia import enhance

    return enhance.adjust_brightness_accumulative(images, float(factor))


def contrast(images: Tensor, factor: float) -> Tensor:
    """Scale the distance to the mean grey of each image, as torchvision's ``adjust_contrast``."""
    from kornia import enhance

    return enhance.adjust_contrast_with_mean_subtraction(images, float(factor))


def saturation(images: Tensor, factor: float) -> Tensor:
    """Scale the distance to the grey of each pixel, as torchvision's ``adjust_saturation``."""
    from kornia import enhance

    return enhance.adjust_saturation_with_gray_subtraction(images, float(factor))


def hue(images: Tensor, turn: float) -> Tensor:
    """Turn all hues by a share of the colour circle, as torchvision's ``adjust_hue``."""
    from kornia import enhance

    return enhance.adjust_hue(images, 2 * math.pi * turn)


def grayscale(images: Tensor) -> Tensor:
    """Replace all three channels by the luma."""
    from kornia import color

    return color.rgb_to_grayscale(images).expand_as(images)


def gamma(images: Tensor, exponent: float) -> Tensor:
    """Raise to a power; linear below half an 8-bit step, where the slope would have no bound."""
    bend = 0.5 / 255
    power = images.clamp(min=bend) ** exponent  # kornia clips as well, which takes the gradient of white pixels
    return torch.where(images < bend, images * bend ** (exponent - 1), power)


def gaussian_blur(images: Tensor, kernel: float) -> Tensor:
    """Blur over ``kernel`` pixels a side; sigma = 0.3 ((kernel - 1) / 2 - 1) + 0.8, torchvision's."""
    from kornia import filters

    size = int(kernel)
    sigma = 0.3 * ((size - 1) / 2 - 1) + 0.8
    return filters.gaussian_blur2d(images, (size, size), (sigma, sigma)).clamp(max=1)  # its weights sum to 1 + 1e-7


def median(images: Tensor, kernel: float) -> Tensor:
    """Take the median of ``kernel`` x ``kernel`` pixels, by channel, reflecting at the border; straight through."""
    from kornia import filters

    size = int(kernel)
    reach = size // 2
    # kornia's is twice as fast as Pillow's up to 5 x 5 (at 12 megapixels as fast), and from 7 x 7 slower. It holds all
    # windows at once, so that it gets one plane at a time; before 0.9, what is outside was black, hence the padding.
    of_plane = filters.median_blur if size <= 5 else _median_by_rank
    padded = F.pad(images.detach(), (reach, reach, reach, reach), mode="reflect").flatten(0, 1)
    filtered = torch.cat([of_plane(plane[None, None], size)[0] for plane in padded])
    inside = filtered[:, reach : reach + images.shape[2], reach : reach + images.shape[3]]
    return straight_through(images, inside.reshape(images.shape))


def _median_by_rank(plane: Tensor, size: int) -> Tensor:
    """The median of one plane (1, 1, H, W) by Pillow, on float values."""
    rank = ImageFilter.RankFilter(size, size * size // 2)
    filtered = np.array(Image.fromarray(plane[0, 0].float().cpu().numpy()).filter(rank))
    return torch.from_numpy(filtered)[None, None].to(plane)


def gaussian_noise(images: Tensor, deviation: float, *, seed: Tensor) -> Tensor:
    """Add independent normal noise to every value, and clip."""
    grain = noise.white(seed, tuple(images.shape[1:])).to(images)
    return (images + deviation * grain).clamp(0, 1)


def sharpness(images: Tensor, factor: float) -> Tensor:
    """Go away from a smoothed version (above 1) or towards it, as torchvision's.

    Images less than 3 pixels high or wide have no pixel to smooth.
    """
    from kornia import enhance

    return images if min(images.shape[2:]) < 3 else enhance.sharpness(images, float(factor))


def posterize(images: Tensor, bits: float) -> Tensor:
    """Keep the top ``bits`` of the 8-bit values, as Pillow's ``posterize``; straight through."""
    step = 2 ** (8 - int(bits))  # kornia's truncates to 8 bits where Pillow gets rounded values
    values = (images * 255).round()
    return straight_through(images, torch.floor(values / step) * step / 255)


def _kind(function: object, strength: Strength | None = None, **draws: tuple[int, ...]) -> Kind:
    assert callable(function)
    return PixelKind("valuemetric", function, strength, draws)


_FACTOR = Strength(0, 10)
_KERNEL = Strength(1, 99, odd=True)

TABLE: dict[str, Kind] = {
    "identity": PixelKind("none", identity),
    "brightness": _kind(brightness, _FACTOR),
    "contrast": _kind(contrast, _FACTOR),
    "saturation": _kind(saturation, _FACTOR),
    "hue": _kind(hue, Strength(-0.5, 0.5)),
    "grayscale": _kind(grayscale),
    "gamma": _kind(gamma, Strength(0.1, 10)),
    "gaussian_blur": _kind(gaussian_blur, _KERNEL),
    "median": _kind(median, _KERNEL),
    "gaussian_noise": _kind(gaussian_noise, Strength(0, 1), seed=()),
    "sharpness": _kind(sharpness, _FACTOR),
    "posterize": _kind(posterize, Strength(0, 8, whole=True)),
}
