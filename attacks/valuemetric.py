"""Attacks on values: every pixel stays where it is.

`images` are (B, 3, H, W) float in [0, 1], RGB, here and in the results.
"""

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageFilter
from torch import Tensor
from torchvision.transforms import functional as TF

from attacks import noise
from attacks.base import Kind, PixelKind, Strength, straight_through


def identity(images: Tensor) -> Tensor:
    """Change nothing."""
    return images


def brightness(images: Tensor, factor: float) -> Tensor:
    """Multiply all values, as torchvision's `adjust_brightness`."""
    return TF.adjust_brightness(images, factor)


def contrast(images: Tensor, factor: float) -> Tensor:
    """Scale the distance to the mean grey of each image, as torchvision's `adjust_contrast`."""
    return TF.adjust_contrast(images, factor)


def saturation(images: Tensor, factor: float) -> Tensor:
    """Scale the distance to the grey of each pixel, as torchvision's `adjust_saturation`."""
    return TF.adjust_saturation(images, factor)


def hue(images: Tensor, turn: float) -> Tensor:
    """Turn all hues by a share of the colour circle, as torchvision's `adjust_hue`."""
    return TF.adjust_hue(images, turn)


def grayscale(images: Tensor) -> Tensor:
    """Replace all three channels by the luma."""
    return TF.rgb_to_grayscale(images, num_output_channels=3)


def gamma(images: Tensor, exponent: float) -> Tensor:
    """Raise to a power; linear below half an 8-bit step, where the slope would have no bound."""
    bend = 0.5 / 255
    power = images.clamp(min=bend) ** exponent
    return torch.where(images < bend, images * bend ** (exponent - 1), power)


def gaussian_blur(images: Tensor, kernel: float) -> Tensor:
    """Blur over `kernel` pixels a side; sigma = 0.3 ((kernel - 1) / 2 - 1) + 0.8, torchvision's."""
    size = int(kernel)
    return TF.gaussian_blur(images, [size, size]).clamp(0, 1)  # its weights sum to 1 + 1e-7


def median(images: Tensor, kernel: float) -> Tensor:
    """Take the median of `kernel` x `kernel` pixels, channel by channel, reflecting at the border.

    By Pillow, on float values, straight through: kornia's holds all windows at once (289 images
    for 17 x 17), and takes four times as long from 7 x 7 on.
    """
    size = int(kernel)
    reach = size // 2
    padded = F.pad(images.detach(), (reach, reach, reach, reach), mode="reflect")
    planes = padded.flatten(0, 1).float().cpu().numpy()
    rank = ImageFilter.RankFilter(size, size * size // 2)
    filtered = np.stack([np.array(Image.fromarray(plane).filter(rank)) for plane in planes])
    inside = torch.from_numpy(filtered)[:, reach : -reach or None, reach : -reach or None]
    return straight_through(images, inside.unflatten(0, tuple(images.shape[:2])).to(images))


def gaussian_noise(images: Tensor, deviation: float, *, seed: Tensor) -> Tensor:
    """Add independent normal noise to every value, and clip."""
    grain = noise.white(seed, tuple(images.shape[1:])).to(images)
    return (images + deviation * grain).clamp(0, 1)


def sharpness(images: Tensor, factor: float) -> Tensor:
    """Go away from a smoothed version (above 1) or towards it, as torchvision's."""
    return TF.adjust_sharpness(images, factor)


def posterize(images: Tensor, bits: float) -> Tensor:
    """Keep the top `bits` of the 8-bit values, as Pillow's `posterize`; straight through."""
    step = 2 ** (8 - int(bits))
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
