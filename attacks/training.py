"""Random degradations for training, in batches on the pictures' own device: each picture has strengths of its own.

Most are those of the suite with a strength for each picture (tests compare them); JPEG is computed here as libjpeg
does, since files would have to leave the device. Codecs that only exist as libraries run on the CPU, and few pictures
get them. Strengths span and exceed those of the protocol (``suites.py``), continuously, so that nothing is tuned to
the bench's own grid. Geometry is not here: training warps pictures and ground truth together, in one resampling.

``images`` are (B, 3, H, W) float in [0, 1], RGB, here and in the results; ``strength`` is (B,); ``free`` (B,) in [0, 1)
is whatever else a degradation draws, such as a direction.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageFilter
from torch import Tensor

from attacks import compression, valuemetric
from attacks.base import straight_through

Function = Callable[[Tensor, Tensor, Tensor], Tensor]

LUMA = (0.299, 0.587, 0.114)
RED, BLUE = 1.402, 1.772  # R - Y for one of Cr, B - Y for one of Cb
# ITU-T T.81, tables K.1 and K.2, by rows
LUMA_TABLE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
CHROMA_TABLE = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *((99,) * 8,) * 4,
)
REACH = 7  # pixels: largest radius of the kernels of blurs
NEIGHBOURS = 4  # pixels, each way, that smoothing filters look at


def jpeg(images: Tensor, quality: Tensor, *, subsampled: bool = True) -> Tensor:
    """As saved and reopened by libjpeg with its standard tables, 4:2:0 or 4:4:4; straight through."""
    values = (images.detach() * 255).round().clamp(0, 255)
    height, width = values.shape[-2:]
    padded = F.pad(values, (0, -width % 16, 0, -height % 16), mode="replicate")
    luma = _grey(padded)
    chroma = torch.cat([(padded[:, 2:] - luma) / BLUE, (padded[:, :1] - luma) / RED], dim=1).round()
    if subsampled:  # libjpeg rounds halves down and up by turns
        up = torch.arange(chroma.shape[-1] // 2, device=chroma.device) % 2
        chroma = torch.floor(F.avg_pool2d(chroma, 2) + 0.25 + 0.25 * up)
    luma = (_quantised(luma.round() - 128, LUMA_TABLE, quality) + 128).clamp(0, 255)
    chroma = _quantised(chroma, CHROMA_TABLE, quality).clamp(-128, 127)
    if subsampled:  # libjpeg's "fancy upsampling" is the same bilinear weights
        chroma = F.interpolate(chroma, scale_factor=2, mode="bilinear", align_corners=False).round()
    blue, red = chroma[:, :1], chroma[:, 1:]
    green = luma - (LUMA[0] * RED * red + LUMA[2] * BLUE * blue) / LUMA[1]
    colours = torch.cat([luma + RED * red, green, luma + BLUE * blue], dim=1)
    return straight_through(images, (colours.round().clamp(0, 255) / 255)[..., :height, :width])


def _quantised(plane: Tensor, table: Sequence[Sequence[int]], quality: Tensor) -> Tensor:
    """Planes (B, C, H, W), sides multiples of 8, through the DCT quantised with the scaled table, rounded to levels."""
    basis = _cosines().to(plane)
    count, channels, height, width = plane.shape
    whole = quality.to(plane).round()
    scale = torch.where(whole < 50, torch.floor(5000 / whole), 200 - 2 * whole).view(-1, 1, 1)
    steps = torch.floor((plane.new_tensor(table) * scale + 50) / 100).clamp(1, 255)
    blocks = plane.view(count, channels, height // 8, 8, width // 8, 8).transpose(3, 4)
    steps = steps.view(count, 1, 1, 1, 8, 8)
    coefficients = (basis @ blocks @ basis.T / steps).round() * steps
    return (basis.T @ coefficients @ basis).transpose(3, 4).reshape(plane.shape).round()


@cache
def _cosines() -> Tensor:
    """The orthonormal DCT-II of 8 values, (8, 8)."""
    n = torch.arange(8, dtype=torch.float64)
    basis = torch.cos(torch.pi / 8 * (n + 0.5) * n[:, None]) / 2
    basis[0] /= 2**0.5
    return basis.float()


def _each(images: Tensor, strength: Tensor, function: Callable[[Tensor, float], Tensor]) -> Tensor:
    """A function of one strength, picture by picture."""
    results = [function(image[None], value) for image, value in zip(images, strength.tolist(), strict=True)]
    return torch.cat(results) if results else images


def convolved(images: Tensor, kernels: Tensor) -> Tensor:
    """Each picture with a kernel of its own (B, h, w), odd sides, borders reflected."""
    count, channels, height, width = images.shape
    rows, columns = kernels.shape[-2:]
    flat = F.pad(images, (columns // 2, columns // 2, rows // 2, rows // 2), mode="reflect")
    flat = flat.reshape(1, count * channels, height + rows - 1, width + columns - 1)
    weights = kernels.repeat_interleave(channels, 0)[:, None].to(images)
    return F.conv2d(flat, weights, groups=count * channels).reshape(images.shape)


def _reach(device: torch.device) -> Tensor:
    return torch.arange(-REACH, REACH + 1, device=device, dtype=torch.float32)


def blur(images: Tensor, sigma: Tensor) -> Tensor:
    """Gaussian blur of any standard deviation in pixels; the suite's is tied to whole kernel sizes."""
    kernel = torch.exp(-0.5 * (_reach(images.device) / sigma[:, None].to(images)) ** 2)
    kernel = kernel / kernel.sum(1, keepdim=True)
    return convolved(convolved(images, kernel[:, None]), kernel[:, :, None])


def defocus(images: Tensor, radius: Tensor) -> Tensor:
    """The mean over a disc, its edge softened over one pixel: what a lens out of focus does."""
    reach = _reach(images.device)
    distance = torch.hypot(reach[:, None], reach)
    disc = (radius.to(images).view(-1, 1, 1) + 0.5 - distance).clamp(0, 1)
    return convolved(images, disc / disc.sum(dim=(1, 2), keepdim=True))


def motion(images: Tensor, length: Tensor, free: Tensor) -> Tensor:
    """The mean along a line of that length, in a direction of half a turn times ``free``."""
    angle = free.to(images).view(-1, 1, 1) * math.pi
    y, x = torch.meshgrid(_reach(images.device), _reach(images.device), indexing="ij")
    along, across = x * angle.cos() + y * angle.sin(), y * angle.cos() - x * angle.sin()
    line = (length.to(images).view(-1, 1, 1) / 2 + 0.5 - along.abs()).clamp(0, 1) * (1 - across.abs()).clamp(0, 1)
    return convolved(images, line / line.sum(dim=(1, 2), keepdim=True))


def noise(images: Tensor, deviation: Tensor) -> Tensor:
    """Normal noise from torch's global generator, which a training run saves and restores."""
    return images + torch.randn_like(images) * _wide(deviation, images)


def brightness(images: Tensor, factor: Tensor) -> Tensor:
    """As the suite's."""
    return images * _wide(factor, images)


def contrast(images: Tensor, factor: Tensor) -> Tensor:
    """As the suite's: the distance to the mean grey of each picture is scaled."""
    mean = _grey(images).mean(dim=(1, 2, 3), keepdim=True)
    return mean + (images - mean) * _wide(factor, images)


def saturation(images: Tensor, factor: Tensor) -> Tensor:
    """As the suite's: the distance to the grey of each pixel is scaled."""
    grey = _grey(images)
    return grey + (images - grey) * _wide(factor, images)


def gamma(images: Tensor, exponent: Tensor) -> Tensor:
    """As the suite's, linear below half a step."""
    bend, exponent = 0.5 / 255, _wide(exponent, images)
    power = images.clamp(min=bend) ** exponent
    return torch.where(images < bend, images * bend ** (exponent - 1), power)


def colour(images: Tensor, turn: Tensor) -> Tensor:
    """Hue turned by -.5 to .5 of the circle, with a saturation change tied to it."""
    from kornia import enhance

    turned = enhance.adjust_hue(images.clamp(0, 1), 2 * math.pi * turn.to(images))
    return saturation(turned, 1 + 2 * turn)


def grayscale(images: Tensor) -> Tensor:
    """As the suite's."""
    return _grey(images).expand_as(images)


def sharpness(images: Tensor, factor: Tensor) -> Tensor:
    """As the suite's."""
    from kornia import enhance

    return enhance.sharpness(images, factor.to(images))


def posterize(images: Tensor, dropped: Tensor) -> Tensor:
    """As the suite's, with 8 less the whole part of ``dropped`` bits kept; straight through."""
    step = _wide(2 ** dropped.floor(), images)
    return straight_through(images, torch.floor((images * 255).round() / step) * step / 255)


def median(images: Tensor, size: Tensor) -> Tensor:
    """As the suite's, over the largest odd size that is no larger."""
    return _each(images, size, lambda image, side: valuemetric.median(image, (int(side) - 1) // 2 * 2 + 1))


def mode(images: Tensor, size: Tensor) -> Tensor:
    """The most frequent value of a square, as paint programs smooth by; by Pillow, straight through."""

    def one(image: Tensor, side: float) -> Tensor:
        filtered = _pillow(image).filter(ImageFilter.ModeFilter((int(side) - 1) // 2 * 2 + 1))
        return straight_through(image, _tensor(filtered, image))

    return _each(images, size, one)


def _pillow(image: Tensor) -> Image.Image:
    values = (image[0].detach() * 255).round().clamp(0, 255).byte()
    return Image.fromarray(values.permute(1, 2, 0).cpu().contiguous().numpy())


def _tensor(image: Image.Image, like: Tensor) -> Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].to(like) / 255


def resized(images: Tensor, factor: Tensor, free: Tensor) -> Tensor:
    """Reduced by a factor, saved as JPEG of a quality of 45 to 95, and enlarged again: one step of being passed on."""
    height, width = images.shape[-2:]
    results = []
    for image, shrink, more in zip(images, factor.tolist(), free, strict=True):
        size = max(16, round(height * shrink)), max(16, round(width * shrink))
        small = F.interpolate(image[None], size=size, mode="bicubic", antialias=True, align_corners=False).clamp(0, 1)
        small = jpeg(small, 45 + 50 * more[None])
        results.append(F.interpolate(small, size=(height, width), mode="bicubic", align_corners=False))
    return torch.cat(results)


def denoised(images: Tensor, strength: Tensor) -> Tensor:
    """Non-local means with patches of 5 pixels (Buades, Coll and Morel 2005): ``strength`` h in units of the range;
    straight through."""
    scale = 1 / _wide(strength, images).square()

    def alike(moved: Tensor, still: Tensor, _: float) -> Tensor:
        apart = (moved - still).square().mean(1, keepdim=True)
        return torch.exp(-F.avg_pool2d(apart, 5, 1, 2, count_include_pad=False) * scale)

    return _averaged(images, alike)


def bilateral(images: Tensor, deviation: Tensor) -> Tensor:
    """Bilateral filter (Tomasi and Manduchi 1998), 2.5 pixels wide: ``deviation`` in values, summed over R, G and B, of
    what counts as one surface; straight through."""
    scale = 0.5 / _wide(deviation, images).square()

    def alike(moved: Tensor, still: Tensor, distance: float) -> Tensor:
        apart = (moved - still).abs().sum(1, keepdim=True).square()
        return torch.exp(-apart * scale) * math.exp(-0.5 * (distance / 2.5) ** 2)

    return _averaged(images, alike)


def _averaged(images: Tensor, alike: Callable[[Tensor, Tensor, float], Tensor]) -> Tensor:
    """Means over the neighbourhood with weights (B, 1, H, W) from each shifted picture, the picture and the distance in
    pixels."""
    still, reach = images.detach(), NEIGHBOURS
    padded = F.pad(still, (reach,) * 4, mode="reflect")
    height, width = still.shape[-2:]
    total, weights = torch.zeros_like(still), torch.zeros_like(still[:, :1])
    for down in range(2 * reach + 1):
        for right in range(2 * reach + 1):
            moved = padded[..., down : down + height, right : right + width]
            weight = alike(moved, still, math.hypot(down - reach, right - reach))
            total, weights = total + weight * moved, weights + weight
    return straight_through(images, total / weights)


def _grey(images: Tensor) -> Tensor:
    return (images * images.new_tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)


def _wide(strength: Tensor, images: Tensor) -> Tensor:
    return strength.to(images).view(-1, 1, 1, 1)


@dataclass(frozen=True)
class Degradation:
    """``function`` at strengths drawn evenly from ``strengths``; ``weight`` of being drawn; ``coded``: by a library on
    the CPU, picture by picture."""

    name: str
    function: Function
    strengths: tuple[float, float]
    weight: float
    coded: bool = False


def _codec(function: Callable[[Tensor, float], Tensor]) -> Function:
    return lambda images, quality, _: _each(images, quality, lambda image, one: function(image, round(one)))


CHOICES: Sequence[Degradation] = (
    Degradation("jpeg", lambda i, s, _: jpeg(i, s), (20, 95), 4.5),
    Degradation("jpeg_444", lambda i, s, _: jpeg(i, s, subsampled=False), (20, 95), 1.0),
    Degradation("resized", resized, (0.35, 0.95), 2.0),
    Degradation("webp", _codec(compression.webp), (10, 90), 0.3, coded=True),
    Degradation("avif", _codec(compression.avif), (10, 70), 0.5, coded=True),
    Degradation("blur", lambda i, s, _: blur(i, s), (0.4, 2.6), 1.5),
    Degradation("defocus", lambda i, s, _: defocus(i, s), (0.8, 4.0), 0.8),
    Degradation("motion", motion, (2.0, 11.0), 0.5),
    Degradation("median", lambda i, s, _: median(i, s), (3, 6.99), 0.8),
    Degradation("mode", lambda i, s, _: mode(i, s), (3, 6.99), 0.15, coded=True),
    Degradation("denoised", lambda i, s, _: denoised(i, s), (0.02, 0.12), 0.25),
    Degradation("bilateral", lambda i, s, _: bilateral(i, s), (0.05, 0.4), 0.3),
    Degradation("noise", lambda i, s, _: noise(i, s), (0.005, 0.06), 1.0),
    Degradation("brightness", lambda i, s, _: brightness(i, s), (0.4, 2.2), 1.2),
    Degradation("contrast", lambda i, s, _: contrast(i, s), (0.4, 2.2), 1.2),
    Degradation("gamma", lambda i, s, _: gamma(i, s), (0.6, 1.6), 0.4),
    Degradation("colour", lambda i, s, _: colour(i, s), (-0.3, 0.3), 0.7),
    Degradation("grayscale", lambda i, s, _: grayscale(i), (0, 1), 0.5),
    Degradation("sharpness", lambda i, s, _: sharpness(i, s), (1.2, 3.0), 0.5),
    Degradation("posterize", lambda i, s, _: posterize(i, s), (2, 4.99), 0.3),
)


def degrade(image: Tensor, generator: np.random.Generator) -> Tensor:
    """One or more random degradations of one picture (3, H, W) in [0, 1]."""
    return degrade_batch(image[None], generator, share=1.0)[0]


def degrade_batch(
    images: Tensor,
    generator: np.random.Generator,
    *,
    share: float,
    again: float = 0.3,
    choices: Sequence[Degradation] = CHOICES,
) -> Tensor:
    """Degrades a share of a batch, and of those a share ``again`` once more, and so on up to three times in a row.

    Everything is drawn on the CPU, so that no device is asked.
    """
    count = len(images)
    weights = np.array([choice.weight for choice in choices])
    chosen = generator.random(count) < share
    for _ in range(3):
        which = generator.choice(len(choices), count, p=weights / weights.sum())
        drawn, free = generator.random(count), generator.random(count)
        images = _step(images, np.where(chosen, which, -1), drawn, free, choices)
        chosen &= generator.random(count) < again
    return images


def _step(
    images: Tensor, which: np.ndarray, drawn: np.ndarray, free: np.ndarray, choices: Sequence[Degradation]
) -> Tensor:
    """One degradation of every picture, those of one kind together; -1: none."""
    order, parts = [np.flatnonzero(which < 0)], [images[torch.from_numpy(np.flatnonzero(which < 0))]]
    for index, choice in enumerate(choices):
        members = np.flatnonzero(which == index)
        if len(members):
            low, high = choice.strengths
            strength = torch.from_numpy(low + (high - low) * drawn[members]).float().to(images.device)
            more = torch.from_numpy(free[members]).float().to(images.device)
            own = images[torch.from_numpy(members)]
            order.append(members)
            parts.append(choice.function(own, strength, more).clamp(0, 1))
    back = torch.from_numpy(np.argsort(np.concatenate(order)))
    return torch.cat(parts)[back]
