"""One picture on trial: how surely a mark is read from worn copies of it, and which bits the picture drowns where.

The trial is two fixed attacks in memory on a copy of at most ``TRIAL_SIDE`` pixels on its short side: JPEG, and half
the size and JPEG. Both are seen at the working resolution and read at their own pose. The strength follows from the
first: the vote of a bit of four frequencies in its standard deviations, the median of all frequencies, since a few that
a smooth picture leaves would hide that the others are gone. The balance of the bits follows from both.

What an extractor makes of a marked picture is nearly the pattern and an error that the picture makes, whatever the
message. So where one picture gets many messages, trials of one and of its opposite tell the two apart: half their sum
is the pattern's share, half their difference the error's, which any other message has turned round in the bits in which
it differs (``PairTrial``).
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
from wam.signal.filters import resize, to_pixels
from wam.signal.pattern import Carrier
from wam.signal.specification import PER_BIT

TRIAL_SIDE = 640  # pixels: larger pictures are tried as copies of this short side
TRIAL_QUALITY = 50  # of the JPEG
HALF_QUALITY = 75  # of the JPEG at half the size
LONGEST_JPEG = 65_488  # pixels of a side, whole blocks: the encoder takes 65,500


@dataclass(frozen=True)
class Trial:
    """``real`` (K,): the part of each frequency that agrees with the mark that was tried, of the first copy, in
    standard deviations; ``votes`` (32, rows, columns): of ``local_votes``, of both."""

    real: Tensor
    votes: Tensor

    @property
    def margin(self) -> float:
        """Of the mark that was tried, in standard deviations of a bit's vote."""
        return float(self.real.median()) * math.sqrt(PER_BIT)

    @property
    def balance(self) -> Balance:
        """What the mark is better made with."""
        return Balance.of_votes(self.votes)


@dataclass(frozen=True)
class PairTrial:
    """Trials of a message, ``bits`` (1, 32), and of its ``opposite``, for all messages; ``owner`` of the carrier that
    they were made with."""

    bits: Tensor
    one: Trial
    opposite: Trial
    owner: Tensor

    def of(self, bits: Tensor) -> Trial:
        """About what a trial of another message (1, 32) would say."""
        same = ((bits == self.bits)[0].to(self.one.votes) * 2 - 1).to(self.one.votes.device)
        turned = torch.cat([same, torch.ones_like(same[:1])])[self.owner]  # the pilot's -1 picks the last
        return Trial(
            _turned(self.one.real, self.opposite.real, turned),
            _turned(self.one.votes, self.opposite.votes, same[:, None, None]),
        )


def _turned(one: Tensor, opposite: Tensor, same: Tensor) -> Tensor:
    """What two opposite trials have in common, and what they have not, turned round where ``same`` is -1."""
    return (one + opposite + same * (one - opposite)) / 2


def try_mark(
    marked: Tensor,
    half: Tensor,
    bits: Tensor,
    carrier: Carrier,
    working: tuple[int, int],
    extract: Callable[[Tensor], Tensor],
) -> Trial:
    """From a marked picture (3, H, W) in [0, 1] or of 8 bits, the same at ``half`` the size, its bits (1, 32), its size
    at working resolution, and what estimates the pattern (B, 1, h, w) of pictures (B, 3, h, w)."""
    worn = ((marked, TRIAL_QUALITY), (half, HALF_QUALITY))  # one after the other: a long strip's copy is large
    estimates = extract(torch.cat([resize(recoded(*one)[None], working) for one in worn]))[:, 0]
    upright, corner = torch.eye(2, device=estimates.device)[None], torch.zeros(1, 2, device=estimates.device)
    real = carrier.project(estimates[:1], upright, corner)[0, :, 0] * carrier.signs(bits)[0]
    noise = (estimates[0].square().sum() / 2 + 1e-9).sqrt()  # of one frequency
    return Trial(real / noise, local_votes(estimates, bits, carrier))


def recoded(image: Tensor, quality: int) -> Tensor:
    """A picture (3, H, W) in [0, 1] or of 8 bits, saved as JPEG and opened again: the same shape, kind and device."""
    from PIL import Image  # who only loads weights does without

    for axis in (-2, -1):
        if image.shape[axis] > LONGEST_JPEG:  # a strip, in pieces of whole blocks
            return torch.cat([recoded(piece, quality) for piece in image.split(LONGEST_JPEG, axis)], axis)
    with io.BytesIO() as file:
        Image.fromarray(to_pixels(image.cpu())).save(file, "JPEG", quality=quality)
        with Image.open(file) as back:
            pixels = np.array(back)
    opened = torch.from_numpy(pixels).permute(2, 0, 1).to(image)
    return opened if image.dtype == torch.uint8 else opened / 255
