"""One picture on trial: how surely a mark is read from worn copies of it, and which bits the picture drowns where.

The trial is two fixed attacks in memory on a copy of at most ``TRIAL_SIDE`` pixels on its short side: JPEG, and half
the size and JPEG. Both are seen at the working resolution and read at their own pose. Strengths are tried from the
faintest on until the mean limited vote of the frequencies, as the reader has it
(``wam.signal.demodulation.limited``), is what is aimed for. Half the size counts where that is no less than the working
resolution. Most photos need one trial, smooth pictures up to four. The balance of the bits follows from the last.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from wam.signal.balance import Balance, local_votes
from wam.signal.demodulation import limited
from wam.signal.filters import resize, sized, to_pixels
from wam.signal.pattern import Carrier
from wam.signal.specification import WORKING_SIDE

TRIAL_SIDE = 640  # pixels: larger pictures are tried as copies of this short side
TRIAL_QUALITY = 50  # of the JPEG
HALF_QUALITY = 75  # of the JPEG at half the size
HALF_SHARE = 0.8  # of the vote that is aimed for, which is enough at half the size


@dataclass(frozen=True)
class Trial:
    """``vote`` of the mark that was tried, in the copy that keeps least of it: about 0 for none, .5 for a sure one; and
    the ``balance`` that the next one is better made with."""

    vote: float
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
    votes = limited(carrier.project(estimates, upright, corner))[..., 0]  # (2, K)
    means = (votes * carrier.signs(bits)).mean(1).tolist()
    vote = min(means[0], means[1] / HALF_SHARE) if min(half.shape[-2:]) >= WORKING_SIDE else means[0]
    return Trial(vote, Balance.of_votes(local_votes(estimates, bits, carrier)))


def recoded(image: Tensor, quality: int) -> Tensor:
    """A picture (3, H, W) in [0, 1], saved as JPEG and opened again: the same shape and device."""
    from PIL import Image  # who only loads weights does without

    with io.BytesIO() as file:
        Image.fromarray(to_pixels(image.cpu())).save(file, "JPEG", quality=quality)
        with Image.open(file) as back:
            pixels = np.array(back)
    return torch.from_numpy(pixels).permute(2, 0, 1).to(image) / 255
