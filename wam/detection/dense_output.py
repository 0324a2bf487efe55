"""Per-pixel output in WAM's layout: a mask logit and 32 bit logits for every pixel, each region at its own pose."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from wam.detection.config import SearchConfig
from wam.detection.localization import OUTSIDE
from wam.detection.merging import Found
from wam.signal.demodulation import bit_logits, block_votes
from wam.signal.pattern import Carrier
from wam.signal.specification import BITS


def per_pixel(
    found: Sequence[Found], carriers: Sequence[Carrier], size: tuple[int, int], config: SearchConfig
) -> Tensor:
    """Found watermarks -> (33, height, width): channel 0 mask logit, 1 to 32 bit logits, 0 where nothing was found.

    Bits are read from windows of about 20 pixels around each pixel, in units of their noise; where watermarks overlap
    the surer mask decides.
    """
    height, width = size
    maps = torch.zeros(1 + BITS, height, width)
    maps[0] = OUTSIDE
    for one in found:
        shape = (one.pattern.shape[0], one.pattern.shape[1])
        pose = one.pose.rescaled(shape[1] / width, shape[0] / height)
        carrier = carriers[one.carrier].read_as(one.label)
        pattern = one.pattern if one.bend is None else one.bend.straight(one.pattern[None])[0]
        votes = block_votes(pattern, pose, carrier, block=config.clustering.block)
        bits = bit_logits(votes, carrier, spread=config.dense_output.window, size=shape)
        bits = bits if one.bend is None else one.bend.back(bits)
        own = torch.cat([one.mask_logits[None], bits]).cpu()[None]
        own = F.interpolate(own, size=size, mode="bilinear", align_corners=False)[0]
        better = own[0] > maps[0]
        maps[0] = torch.where(better, own[0], maps[0])
        maps[1:] = torch.where(better & (own[0] > 0), own[1:], maps[1:])
    return maps
