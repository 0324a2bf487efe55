"""The embedder: its start, its bounds, and the energy it is set to."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from wam.embedder import MAX_OVER_JND, Embedder, scale_to_psnr
from wam.jnd import jnd


@pytest.fixture
def images() -> Tensor:
    return torch.rand(2, 3, 33, 46, generator=torch.Generator().manual_seed(0))


def test_an_untrained_embedder_gives_the_plain_jnd(images: Tensor) -> None:
    torch.testing.assert_close(Embedder()(images), jnd(images))


@pytest.mark.parametrize(("bias", "factor"), [(50.0, 2.0), (-50.0, 0.5)])
def test_the_network_moves_the_gain_by_a_factor_of_two_at_most(images: Tensor, bias: float, factor: float) -> None:
    embedder = Embedder(channels=4)
    assert embedder.head.bias is not None
    nn.init.constant_(embedder.head.bias, bias)
    torch.testing.assert_close(embedder(images), factor * jnd(images))


def test_gain_can_be_learnt(images: Tensor) -> None:
    embedder = Embedder(channels=4)
    embedder(images).sum().backward()
    assert embedder.head.weight.grad is not None
    assert float(embedder.head.weight.grad.abs().max()) > 0


def test_gain_is_set_to_the_asked_psnr() -> None:
    gain = torch.rand(1, 1, 40, 40, generator=torch.Generator().manual_seed(1)) * 8 + 2
    error = scale_to_psnr(gain, 41.0).square().mean() / 255**2
    assert -10 * math.log10(float(error)) == pytest.approx(41.0, abs=1e-3)


def test_each_picture_may_have_its_own_psnr() -> None:
    gain = torch.full((2, 1, 8, 8), 5.0)
    both = scale_to_psnr(gain, torch.tensor([40.0, 46.0]))
    torch.testing.assert_close(both, torch.cat([scale_to_psnr(gain[:1], 40.0), scale_to_psnr(gain[1:], 46.0)]))
    assert float(both[0].mean()) > 1.9 * float(both[1].mean())


def test_no_psnr_lifts_the_gain_far_above_what_the_picture_hides() -> None:
    gain = torch.full((1, 1, 8, 8), 0.9)
    torch.testing.assert_close(scale_to_psnr(gain, 30.0), MAX_OVER_JND * gain)
