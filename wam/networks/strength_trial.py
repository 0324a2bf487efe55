"""The strength of one picture, by trial: how surely a mark would be read from a copy saved as JPEG, and what follows.

The trial is one fixed attack in memory on a copy of at most ``TRIAL_SIDE`` pixels on its short side: saved as JPEG of
``TRIAL_QUALITY``, seen at the working resolution, read at its own pose. What counts is the mean vote of the carrier's
frequencies in their own standard deviations, for a bit of four of them; it goes about linearly with the strength.
"""

from __future__ import annotations

import io
import math

import numpy as np
import torch
from torch import Tensor

from wam.networks.strength import Strength
from wam.signal.filters import to_pixels
from wam.signal.pattern import Carrier
from wam.signal.specification import PER_BIT

TRIAL_SIDE = 640  # pixels: larger pictures are tried as copies of this short side
TRIAL_QUALITY = 50  # of the JPEG


def chosen_factor(margin: float, strength: Strength) -> float:
    """Times what the picture hides, from the ``margin`` that this gives."""
    if margin <= strength.margin / strength.most:
        return strength.most
    return min(max(strength.margin / margin, strength.least), strength.most)


def recoded(image: Tensor) -> Tensor:
    """A picture (3, H, W) in [0, 1], saved as JPEG and opened again: the same shape and device."""
    from PIL import Image  # who only loads weights does without

    with io.BytesIO() as file:
        Image.fromarray(to_pixels(image.cpu())).save(file, "JPEG", quality=TRIAL_QUALITY)
        with Image.open(file) as back:
            pixels = np.array(back)
    return torch.from_numpy(pixels).permute(2, 0, 1).to(image) / 255


def margin(estimate: Tensor, bits: Tensor, carrier: Carrier, matrix: Tensor, offset: Tensor) -> float:
    """Mean vote of a bit in its standard deviations: estimate (1, H, W) of a picture marked with bits (1, 32), its pose
    (1, 2, 2) and (1, 2)."""
    real = carrier.project(estimate, matrix, offset)[..., 0]
    noise = (estimate.square().sum() * 0.5 + 1e-9).sqrt()  # of one frequency
    mean = float((real * carrier.signs(bits)).mean() / noise)
    return mean * math.sqrt(PER_BIT)
