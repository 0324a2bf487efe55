"""A periodic mark gives itself away: averaged over its repetitions, pictures cancel and the pattern stays.

No key and no network is used, only what is published: the period, the band of frequencies, and how a picture's size
gives its working resolution. The estimate holds pattern and message together, and is subtracted or added as it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from attacks.means import Means, Outcome

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
DETAIL = 0.6  # standard deviation of the Gaussian that is taken from the luma, working pixels
NEIGHBOURHOOD = 4.0  # standard deviation of the window whose energy says how busy a place is, working pixels
BINS = 2  # along a working pixel
QUIET = 1.0 / 255  # deviation below which places count as equally quiet
FAINTEST = 0.15  # share of a wave that is raised to a whole one: fainter ones are noise
FITTED = 1.0  # tiles: standard deviation of the window in which an estimate is fitted to the picture
_ROUNDS = 6  # tries to meet a PSNR, which clipping and rounding move


def subtract(marked: Tensor, means: Means, psnr_db: float, *, others: int = 0) -> Outcome:
    """The estimate taken from the picture, so that it differs from the marked one by ``psnr_db``; ``others``: further
    pictures with the same mark that the estimate rests on."""
    pattern = estimate(marked, means, others=others)
    return Outcome(held(marked, -spread(pattern, marked, means), psnr_db), marked)


def subtract_fitted(marked: Tensor, means: Means) -> Outcome:
    """The estimate taken from the picture, in each place as much as is there by least squares over the places around:
    neither too little, which leaves the mark, nor too much, which leaves its negative."""
    step = sum(means.steps(*marked.shape[-2:])) / 2
    pattern = spread(estimate(marked, means), marked, means)
    (fine, deviation), shown = detail(marked, step), pattern - smoothed(pattern, DETAIL / step)
    share = 1 / (deviation.square() + QUIET**2)
    around = FITTED * means.tile / step
    amount = smoothed(fine * shown * share, around) / smoothed(shown.square() * share, around).clamp(min=1e-12)
    return Outcome(to_8_bits(marked - amount * pattern), marked)


def copy(marked: Tensor, means: Means, psnr_db: float, *, others: int = 0) -> Outcome:
    """The estimate added to another picture, which then differs by ``psnr_db``."""
    pattern, target = estimate(marked, means, others=others), means.target()
    return Outcome(held(target, spread(pattern, target, means), psnr_db), target)


def estimate(marked: Tensor, means: Means, *, others: int = 0) -> Tensor:
    """The pattern over one tile, (n, n) with ``BINS`` to a working pixel, of unit variance."""
    return fold([marked, *(means.others(others) if others else ())], means)


def fold(images: Iterable[Tensor], means: Means) -> Tensor:
    """Mean of what is fine in pictures (1, 3, H, W) over the tile, quiet places first; (n, n), of unit variance."""
    side = means.tile * BINS
    total, weight = torch.zeros(side * side), torch.zeros(side * side)
    for image in images:
        down, across = means.steps(*image.shape[-2:])
        fine, deviation = detail(image, (down + across) / 2)
        share = 1 / (deviation.square() + QUIET**2)
        for place, part in _bins(image.shape[-2], image.shape[-1], (down, across), side):
            total.index_add_(0, place, (fine * share * part).flatten())
            weight.index_add_(0, place, (share * part).flatten())
    return cleaned((total / weight.clamp(min=1e-9)).view(side, side), means)


def cleaned(tile: Tensor, means: Means) -> Tensor:
    """What a mean over the tile (n, n) has within the band, with what was lost to the Gaussian; of unit variance."""
    side = len(tile)
    k = torch.fft.fftfreq(side, 1 / side)
    radius = torch.hypot(k[:, None], k)
    inside = (radius >= means.band[0]) & (radius <= means.band[1])
    left = 1 - torch.exp(-2 * (math.pi * DETAIL * radius / means.tile).square())  # of each wave, less the Gaussian
    pattern: Tensor = torch.fft.ifft2(torch.fft.fft2(tile) * inside / left.clamp(min=FAINTEST)).real
    return pattern / pattern.std().clamp(min=1e-9)


def spread(tile: Tensor, image: Tensor, means: Means) -> Tensor:
    """The pattern of a tile over a whole picture, stronger where that is busy, as marks are: (1, 1, H, W)."""
    height, width = image.shape[-2:]
    steps = means.steps(height, width)
    pattern = torch.zeros(height * width)
    for place, part in _bins(height, width, steps, len(tile)):
        pattern += tile.flatten()[place] * part.flatten()
    _, deviation = detail(image, sum(steps) / 2)
    return pattern.view(1, 1, height, width) * (deviation + QUIET)


def held(image: Tensor, change: Tensor, psnr_db: float) -> Tensor:
    """The picture with a change, scaled so that 8-bit values differ from it by ``psnr_db``."""
    aim = 10 ** (-psnr_db / 20)
    factor = aim / float(change.expand_as(image).square().mean().sqrt().clamp(min=1e-9))
    changed = to_8_bits(image + factor * change)
    for _ in range(_ROUNDS):
        found = float((changed - image).square().mean().sqrt())
        factor *= aim / max(found, aim / 2)
        changed = to_8_bits(image + factor * change)
    return changed


def to_8_bits(images: Tensor) -> Tensor:
    """What an 8-bit file keeps."""
    return (images.clamp(0, 1) * 255).round() / 255


def luma(images: Tensor) -> Tensor:
    """(B, 3, H, W) -> (B, 1, H, W)."""
    return (images * images.new_tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)


def smoothed(maps: Tensor, spread: float) -> Tensor:
    """Gaussian mean of (B, C, H, W), standard deviation in pixels, borders replicated."""
    reach = max(1, math.ceil(3 * spread))
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, dtype=maps.dtype) / spread) ** 2)
    kernel = (kernel / kernel.sum()).to(maps.device)
    channels = maps.shape[1]
    padded = F.pad(maps, (reach,) * 4, mode="replicate")
    rows = F.conv2d(padded, kernel.view(1, 1, 1, -1).expand(channels, 1, 1, -1), groups=channels)
    return F.conv2d(rows, kernel.view(1, 1, -1, 1).expand(channels, 1, -1, 1), groups=channels)


def detail(image: Tensor, step: float) -> tuple[Tensor, Tensor]:
    """What is fine in the luma, and its deviation around each place: (1, 1, H, W) each."""
    grey = luma(image)
    fine = grey - smoothed(grey, DETAIL / step)
    return fine, smoothed(fine.square(), NEIGHBOURHOOD / step).clamp(min=0).sqrt()


def _bins(height: int, width: int, steps: tuple[float, float], side: int) -> list[tuple[Tensor, Tensor]]:
    """The four bins of the tile around each pixel, (H W,), and its share in each, (1, 1, H, W)."""

    def along(count: int, step: float) -> list[tuple[Tensor, Tensor]]:
        place = (torch.arange(count) + 0.5) * step * BINS - 0.5
        low = place.floor()
        high = place - low
        return [(low.long() % side, 1 - high), ((low.long() + 1) % side, high)]

    pairs = []
    for row, row_share in along(height, steps[0]):
        for column, column_share in along(width, steps[1]):
            place = (row[:, None] * side + column).flatten()
            pairs.append((place, (row_share[:, None] * column_share)[None, None]))
    return pairs
