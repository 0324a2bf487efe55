"""One picture on trial: how surely a mark is read from worn copies of it, and which bits the picture drowns where.

The trial is two fixed attacks in memory on a copy of at most ``TRIAL_SIDE`` pixels on its short side: JPEG, and half
the size and JPEG. Both are seen at the working resolution and read at their own pose. The strength follows from the
first: the vote of a bit of four frequencies in its standard deviations, the median of all frequencies, since a few that
a smooth picture leaves would hide that the others are gone. The balance of the bits follows from both.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from wam.signal.balance import Balance, local_votes
from wam.signal.filters import resize, sized, to_pixels
from wam.signal.pattern import Carrier
from wam.signal.specification import PER_BIT

TRIAL_SIDE = 640  # pixels: larger pictures are tried as copies of this short side
TRIAL_QUALITY = 50  # of the JPEG
HALF_QUALITY = 75  # of the JPEG at half the size


@dataclass(frozen=True)
class Trial:
    """``margin`` of the mark that was tried, in standard deviations of a bit's vote, and the ``balance`` that it is
    better made with."""

    margin: float
    balance: Balance


def try_mark(
    marked: Tensor, bits: Tensor, carrier: Carrier, working: tuple[int, int], extract: Callable[[Tensor], Tensor]
) -> Trial:
    """From a marked picture (3, H, W) in [0, 1], its bits (1, 32), its size at working resolution, and what estimates
    the pattern (B, 1, h, w) of pictures (B, 3, h, w)."""
    height, width = marked.shape[-2:]
    half = resize(marked[None], sized(height, width, min(height, width) / 2))[0].clamp(0, 1)
    copies = [recoded(marked, TRIAL_QUALITY), recoded(half, HALF_QUALITY)]
    estimates = extract(torch.cat([resize(copy[None], working) for copy in copies]))[:, 0]
    upright, corner = torch.eye(2, device=estimates.device)[None], torch.zeros(1, 2, device=estimates.device)
    real = carrier.project(estimates[:1], upright, corner)[0, :, 0] * carrier.signs(bits)[0]
    noise = (estimates[0].square().sum() / 2 + 1e-9).sqrt()  # of one frequency
    margin = float(real.median() / noise) * math.sqrt(PER_BIT)
    return Trial(margin, Balance.of_votes(local_votes(estimates, bits, carrier)))


def recoded(image: Tensor, quality: int) -> Tensor:
    """A picture (3, H, W) in [0, 1], saved as JPEG and opened again: the same shape and device."""
    from PIL import Image  # who only loads weights does without

    with io.BytesIO() as file:
        Image.fromarray(to_pixels(image.cpu())).save(file, "JPEG", quality=quality)
        with Image.open(file) as back:
            pixels = np.array(back)
    return torch.from_numpy(pixels).permute(2, 0, 1).to(image) / 255
