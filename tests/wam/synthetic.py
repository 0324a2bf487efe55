"""Patterns with known poses, smooth pictures and a model without weights, for the tests of the search."""

from __future__ import annotations

import math

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from wam.detection.calibration import Calibration
from wam.models.lattice_model import LatticeModel
from wam.networks.baseline_extractor import HandmadeExtractor
from wam.networks.embedder import Embedder
from wam.signal.pattern import Carrier
from wam.signal.pose import Pose
from wam.signal.specification import BITS, SIGNAL
from wam.watermarker import Watermarker

THRESHOLD = 27.0  # joint score


def message(seed: int) -> Tensor:
    """(1, 32) int64 in {0, 1}."""
    return torch.randint(0, 2, (1, BITS), generator=torch.Generator().manual_seed(seed))


def text(bits: Tensor) -> str:
    """One message as 32 characters."""
    return "".join(str(bit) for bit in bits.flatten().tolist())


def smooth_picture(height: int = 128, width: int = 128, *, seed: int = 0) -> np.ndarray:
    """(H, W, 3) uint8: slopes of colour and a little grain, where a mark is easily read."""
    y, x = np.mgrid[:height, :width]
    slopes = np.stack([60 + 120 * x / width, 60 + 120 * y / height, 80 + 60 * (x / width + y / height)], -1)
    grain = np.random.default_rng(seed).normal(0, 1, (height, width, 1))
    return (slopes + grain).astype(np.uint8)


def varied_picture(*, seed: int = 0, side: int = 128) -> np.ndarray:
    """(side, side, 3) uint8 with large light and dark places of its own, of which a fingerprint can be taken."""
    places = np.random.default_rng(seed).uniform(-60, 60, (8, 8)).astype(np.float32)
    larger = np.asarray(Image.fromarray(places).resize((side, side), Image.Resampling.BICUBIC))
    return np.clip(smooth_picture(side, side, seed=seed) + larger[..., None], 0, 255).astype(np.uint8)


def posed(angle_deg: float, scale: float, *, flipped: bool = False, offset: tuple[float, float] = (0.0, 0.0)) -> Pose:
    """The pose of a picture that was mirrored, then turned counter-clockwise, ``scale`` pixels per working pixel."""
    cosine, sine = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    turned_back = torch.tensor([[cosine, -sine], [sine, cosine]])  # y points down
    mirror = torch.diag(torch.tensor([-1.0 if flipped else 1.0, 1.0]))
    return Pose(mirror @ turned_back / scale, torch.tensor(offset))


def pattern_at(carrier: Carrier, bits: Tensor, pose: Pose, size: tuple[int, int]) -> Tensor:
    """The pure pattern of one message at a pose, (H, W)."""
    return carrier.render(bits, pose.matrix[None], pose.offset[None], size)[0, 0]


def noise(size: tuple[int, int], *, seed: int = 0) -> Tensor:
    """(H, W) of unit variance."""
    return torch.randn(size, generator=torch.Generator().manual_seed(seed))


def misplacement(found: Pose, true: Pose, size: tuple[int, int], *, period: float = 32.0) -> float:
    """Largest distance in working pixels between two poses over a picture, whole periods not counted."""
    height, width = size
    corners = torch.tensor([[0.0, 0], [width, 0], [0, height], [width, height], [width / 2, height / 2]])
    apart = corners @ (found.matrix - true.matrix).T + found.offset - true.offset
    apart = apart - period * torch.round(apart[-1] / period)  # the same whole periods everywhere
    return float(apart.norm(dim=1).max())


def handmade_marker(*keys: bytes | None) -> Watermarker:
    """A marker without weights, quick on small smooth pictures."""
    carriers = [Carrier.from_key(key) for key in keys or (None,)]
    torch.manual_seed(0)
    calibration = Calibration(threshold=THRESHOLD, null_location=13.5, null_scale=1.35, bit_slope=2.2)
    return Watermarker(
        LatticeModel(
            Embedder(), HandmadeExtractor(), carriers, calibration, name="handmade@00000000", signal=SIGNAL.name
        ).eval(),
        keys=keys or (None,),
    )
