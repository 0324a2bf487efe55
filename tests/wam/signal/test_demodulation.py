"""Demodulation by blocks: equal to the whole projection, and local where messages differ."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from tests.wam.synthetic import message, noise, pattern_at, posed
from wam.signal.demodulation import bit_logits, block_votes
from wam.signal.filters import LONG, gaussian
from wam.signal.pattern import Carrier
from wam.signal.pose import Pose
from wam.signal.specification import BITS

BLOCK = 8  # pixels

POSE = posed(15.0, 1.1, offset=(3.0, 9.0))


def test_blocks_add_up_to_the_whole(carrier: Carrier) -> None:
    field = noise((45, 67))  # no multiple of a block
    votes = block_votes(field, POSE, carrier, block=BLOCK)
    assert votes.real.shape == (6, 9, BITS + 1)
    whole = carrier.project(field[None], POSE.matrix[None], POSE.offset[None])[0]
    for part, values in ((votes.real, whole[:, 0]), (votes.imaginary, whole[:, 1])):
        bits = torch.stack(
            [values[carrier.owner == bit].sum() for bit in range(BITS)] + [values[carrier.is_pilot].sum()]
        )
        torch.testing.assert_close(part.sum((0, 1)), bits, atol=0.05, rtol=1e-3)


def test_a_block_is_the_projection_of_its_pixels(carrier: Carrier) -> None:
    field = noise((32, 40), seed=1)
    alone = torch.zeros_like(field)
    alone[16 : 16 + BLOCK, 24 : 24 + BLOCK] = field[16 : 16 + BLOCK, 24 : 24 + BLOCK]
    expected = carrier.project(alone[None], POSE.matrix[None], POSE.offset[None])[0, carrier.is_pilot].sum(0)
    votes = block_votes(field, POSE, carrier, block=BLOCK)
    found = torch.stack([votes.real[2, 3, BITS], votes.imaginary[2, 3, BITS]])
    torch.testing.assert_close(found, expected, atol=0.01, rtol=1e-3)


def test_energy_is_the_variance_that_noise_gives(carrier: Carrier) -> None:
    votes = block_votes(noise((256, 256), seed=2), POSE, carrier, block=BLOCK)
    per_bit = float((carrier.owner == 0).sum())
    measured = votes.real[..., :BITS].square().mean() / per_bit
    assert float(measured / votes.energy.mean()) == pytest.approx(1.0, abs=0.1)


def test_bits_of_each_pixel_are_those_of_its_part(carrier: Carrier) -> None:
    size = (128, 250)
    field = pattern_at(carrier, message(0), POSE, size)
    field[:, 125:] = pattern_at(carrier, message(1), POSE, size)[:, 125:]
    votes = block_votes(field + 0.5 * noise(size), POSE, carrier, block=BLOCK)
    logits = bit_logits(votes, carrier, spread=3.0, size=size)
    assert logits.shape == (BITS, *size)
    for seed, part in ((0, logits[..., :80]), (1, logits[..., 170:])):
        right = (part > 0) == (message(seed)[0] > 0)[:, None, None]
        assert float(right.float().mean()) > 0.99


def test_logits_are_in_units_of_the_noise(carrier: Carrier) -> None:
    size = (512, 512)
    votes = block_votes(noise(size, seed=3), Pose.upright(1.0), carrier, block=BLOCK)
    logits = bit_logits(votes, carrier, spread=2.0, size=size)[:, 64:-64, 64:-64]  # the border has less to average
    assert float(logits.square().mean().sqrt()) == pytest.approx(1.0, abs=0.2)


@pytest.mark.parametrize(("border", "mode"), [("replicate", "nearest"), ("zeros", "constant")])
@pytest.mark.parametrize("longest", [LONG, 8])
def test_gaussian_agrees_with_scipy(border: str, mode: str, longest: int) -> None:
    field = noise((30, 40), seed=4).double()
    expected = ndimage.gaussian_filter(field.numpy(), 2.0, truncate=2.5, mode=mode)
    np.testing.assert_allclose(
        gaussian(field[None], 2.0, border=border, longest=longest)[0].numpy(), expected, atol=1e-9
    )


@pytest.mark.parametrize("size", [(1, 1), (3, 5)])
def test_maps_smaller_than_the_window(size: tuple[int, int]) -> None:
    field = noise(size, seed=4)[None]
    constant = torch.full_like(field, 0.75)
    torch.testing.assert_close(gaussian(constant, 4.0), constant)
    assert gaussian(constant, 4.0, border="zeros").max() < 0.75
    expected = ndimage.gaussian_filter(field[0].double().numpy(), 4.0, truncate=2.5, mode="nearest")
    np.testing.assert_allclose(gaussian(field, 4.0)[0].numpy(), expected, atol=1e-6)


def test_a_narrow_gaussian_changes_nothing() -> None:
    field = noise((8, 8))[None]
    assert gaussian(field, 0.2) is field
