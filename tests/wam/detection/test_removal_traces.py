"""Traces of a mark that was subtracted: energy that is missing where its pattern would lie."""

from __future__ import annotations

import pytest
import torch

from tests.wam.synthetic import smooth_picture
from wam.detection.removal_traces import SUSPICIOUS, missing_energy
from wam.signal.specification import HIGHEST, LOWEST, TILE
from wam.watermarker import to_batch

SIZE = (288, 384)


def grainy(seed: int) -> torch.Tensor:
    """(3, H, W): smooth colours with grain."""
    grain = torch.randn(*SIZE, generator=torch.Generator().manual_seed(seed)) * 6 / 255
    return (to_batch(smooth_picture(*SIZE))[0] * 0.8 + 0.1 + grain).clamp(0, 1)


def emptied(image: torch.Tensor) -> torch.Tensor:
    """The same without what it has at whole cycles per tile of the working resolution, within the band."""
    side = TILE * min(SIZE) / 256  # pixels of a tile
    rows, columns = (torch.arange(count) / side for count in SIZE)
    cycles = torch.arange(-int(HIGHEST), int(HIGHEST) + 1).double()
    down, across = (
        torch.exp(-2j * torch.pi * cycles[:, None] * places.double()) / len(places) ** 0.5 for places in (rows, columns)
    )
    radius = torch.hypot(cycles[:, None], cycles)
    power = (down @ image.mean(0).to(torch.complex128) @ across.T) * ((radius >= LOWEST) & (radius <= HIGHEST))
    return (image - (down.conj().T @ power @ across.conj()).real.float()).clamp(0, 1)


@pytest.mark.parametrize("seed", range(3))
def test_what_was_left_alone_is_told_from_what_was_emptied(seed: int) -> None:
    image = grainy(seed)
    alone, without = missing_energy(image[None]), missing_energy(emptied(image)[None])
    assert alone is not None and without is not None
    assert without < SUSPICIOUS < -0.75 < alone < -0.3


def test_a_flat_picture_and_a_small_one_have_no_traces() -> None:
    assert missing_energy(torch.full((1, 3, 300, 400), 0.5)) is None
    assert missing_energy(torch.rand(1, 3, 200, 400)) is None
