"""Random degradations for training: one draw of parameters per picture, straight-through gradients where needed.

The functions are those of the suite; only the strengths are drawn here. They span and exceed those of the protocol
(``suites.py``), continuously, so that nothing is tuned to the bench's own grid. Geometry is not here: training
warps pictures and ground truth together, in one resampling.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from attacks import compression, valuemetric

Degradation = Callable[[Tensor, float], Tensor]


def blur(images: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of any standard deviation in pixels; the suite's is tied to whole kernel sizes."""
    from kornia import filters

    size = 2 * int(np.ceil(2.5 * sigma)) + 1
    return filters.gaussian_blur2d(images, (size, size), (sigma, sigma))


def noise(images: Tensor, deviation: float) -> Tensor:
    """Normal noise from torch's global generator, which a training run saves and restores."""
    return images + torch.randn_like(images) * deviation


def colour(images: Tensor, turn: float) -> Tensor:
    """Hue turned by -.5 to .5 of the circle, with a saturation change tied to it."""
    return valuemetric.saturation(valuemetric.hue(images, turn), 1 + 2 * turn)


# name, degradation of (B, 3, H, W), range of strengths, weight of being drawn
CHOICES: Sequence[tuple[str, Degradation, tuple[float, float], float]] = (
    ("jpeg", lambda i, quality: compression.jpeg(i, round(quality)), (35, 95), 5.0),
    ("webp", lambda i, quality: compression.webp(i, round(quality)), (40, 90), 0.5),
    ("blur", blur, (0.4, 2.6), 2.0),
    ("median", lambda i, size: valuemetric.median(i, int(size) // 2 * 2 + 1), (3, 6.99), 1.5),
    ("noise", noise, (0.005, 0.06), 1.0),
    ("brightness", valuemetric.brightness, (0.4, 2.2), 1.5),
    ("contrast", valuemetric.contrast, (0.4, 2.2), 1.5),
    ("gamma", valuemetric.gamma, (0.6, 1.6), 0.5),
    ("colour", colour, (-0.3, 0.3), 1.0),
    ("grayscale", lambda i, _: valuemetric.grayscale(i), (0, 1), 0.5),
    ("sharpness", valuemetric.sharpness, (1.2, 3.0), 0.5),
    ("posterize", lambda i, dropped: valuemetric.posterize(i, 8 - int(dropped)), (2, 4.99), 0.3),
)
_WEIGHTS = np.array([choice[3] for choice in CHOICES]) / sum(choice[3] for choice in CHOICES)


def degrade(image: Tensor, generator: np.random.Generator) -> Tensor:
    """One random degradation of one picture (3, H, W) in [0, 1]."""
    _, function, (low, high), _ = CHOICES[int(generator.choice(len(CHOICES), p=_WEIGHTS))]
    return function(image[None], generator.uniform(low, high))[0].clamp(0, 1)


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
