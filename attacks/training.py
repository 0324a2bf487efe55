"""Random degradations for training: one draw of parameters per picture, straight-through gradients where needed.

The strengths span and exceed those of the protocol (``suites.py``), continuously, so that nothing is tuned to the
bench's own grid. Geometry is not here: the training script warps pictures and ground truth together, in one resampling.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

import numpy as np
import torch
import torchvision.transforms.functional as TF
from PIL import Image, ImageFilter
from torch import Tensor

Degradation = Callable[[Tensor, float], Tensor]


def straight_through(attacked: Tensor, images: Tensor) -> Tensor:
    """The attacked values forward, the gradient of the identity backward."""
    return images + (attacked - images).detach()


def codec(image: Tensor, quality: float, *, name: str) -> Tensor:
    """(3, H, W) through a real encoder at quality 1-100, straight-through gradient."""
    buffer = io.BytesIO()
    Image.fromarray(_to_bytes(image)).save(buffer, name, quality=round(quality))
    return straight_through(_from_bytes(np.asarray(Image.open(buffer).convert("RGB"))), image)


def median(image: Tensor, size: float) -> Tensor:
    """True median over an odd square of the 8-bit picture, (3, H, W), straight-through gradient."""
    picture = Image.fromarray(_to_bytes(image)).filter(ImageFilter.MedianFilter(int(size) // 2 * 2 + 1))
    return straight_through(_from_bytes(np.asarray(picture)), image)


def blur(image: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of a standard deviation in pixels, (3, H, W)."""
    size = 2 * int(np.ceil(2.5 * sigma)) + 1
    return TF.gaussian_blur(image, [size, size], [sigma, sigma])


def colour(image: Tensor, shift: float) -> Tensor:
    """Hue shift of -.5 to .5 turns with a saturation change tied to it."""
    return TF.adjust_saturation(TF.adjust_hue(image, shift), 1 + 2 * shift)


def _to_bytes(image: Tensor) -> np.ndarray:
    return (image.detach().clamp(0, 1) * 255).round().byte().permute(1, 2, 0).contiguous().numpy()


def _from_bytes(array: np.ndarray) -> Tensor:
    return torch.from_numpy(array.copy()).permute(2, 0, 1).float() / 255


def _drop_low_bits(image: Tensor, count: float) -> Tensor:
    step = 2 ** int(count)
    return straight_through((image * 255).div(step, rounding_mode="floor") * step / 255, image)


# name, degradation, range of strengths, weight of being drawn
CHOICES: Sequence[tuple[str, Degradation, tuple[float, float], float]] = (
    ("jpeg", lambda i, q: codec(i, q, name="JPEG"), (35, 95), 5.0),
    ("webp", lambda i, q: codec(i, q, name="WEBP"), (40, 90), 0.5),
    ("blur", blur, (0.4, 2.6), 2.0),
    ("median", median, (3, 6.99), 1.5),
    ("noise", lambda i, s: i + torch.randn_like(i) * s, (0.005, 0.06), 1.0),
    ("brightness", TF.adjust_brightness, (0.4, 2.2), 1.5),
    ("contrast", TF.adjust_contrast, (0.4, 2.2), 1.5),
    ("gamma", TF.adjust_gamma, (0.6, 1.6), 0.5),
    ("colour", colour, (-0.3, 0.3), 1.0),
    ("grayscale", lambda i, _: TF.rgb_to_grayscale(i, 3), (0, 1), 0.5),
    ("sharpness", TF.adjust_sharpness, (1.2, 3.0), 0.5),
    ("posterize", _drop_low_bits, (2, 4.99), 0.3),
)
_WEIGHTS = np.array([choice[3] for choice in CHOICES]) / sum(choice[3] for choice in CHOICES)


def degrade(image: Tensor, generator: np.random.Generator) -> Tensor:
    """One random degradation of one picture (3, H, W) in [0, 1]."""
    _, function, (low, high), _ = CHOICES[int(generator.choice(len(CHOICES), p=_WEIGHTS))]
    return function(image, generator.uniform(low, high)).clamp(0, 1)


def degrade_batch(images: Tensor, generator: np.random.Generator, *, share: float, twice: float = 0.2) -> Tensor:
    """Degrades a share of a batch (B, 3, H, W), some pictures twice in a row."""
    results = []
    for image in images:
        if generator.random() < share:
            image = degrade(image, generator)
            if generator.random() < twice:
                image = degrade(image, generator)
        results.append(image)
    return torch.stack(results)
