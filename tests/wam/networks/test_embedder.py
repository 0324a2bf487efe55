"""The embedder: its start, its bounds, and the energy it is set to."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from wam.networks.embedder import (
    EVEN_PSNR,
    LOSSES,
    MAX_OVER_JND,
    PARTS,
    PLAIN_PSNR,
    SMALL_DB,
    SSIM_LOSS,
    Embedder,
    even_parts,
    lower_bound,
    readable_share,
    scale_evenly,
    scale_to_psnr,
    ssim_price,
)
from wam.networks.perceptual import high_pass, jnd
from wam.pictures.quality import ssim


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


def textured(deviation: float) -> Tensor:
    """A grey picture with noise of that many levels, smoothed a little."""
    noise = torch.randn(1, 1, 96, 96, generator=torch.Generator().manual_seed(3))
    noise = torch.nn.functional.avg_pool2d(noise, 3, stride=1, padding=1) * 3 * deviation
    return ((128 + noise) / 255).clamp(0, 1).expand(1, 3, -1, -1)


def test_the_predicted_loss_of_similarity_is_what_ssim_measures() -> None:
    picture = textured(14.0)
    noise = torch.randn(1, 1, 96, 96, generator=torch.Generator().manual_seed(4)) * 2.0
    first, second = ((image[0].permute(1, 2, 0) * 255).numpy() for image in (picture, picture + noise / 255))
    predicted = float((4.0 * ssim_price(picture)).mean())
    assert 1 - ssim(first.round().clip(0, 255).astype("uint8"), second.round().clip(0, 255).astype("uint8")) == (
        pytest.approx(predicted, rel=0.15)
    )


def test_pictures_that_are_harder_to_read_hide_more_and_lose_more_similarity() -> None:
    calm, busy = textured(6.0), textured(20.0)
    gains = [scale_evenly(jnd(picture), picture, bounds=(20.0, 70.0)) for picture in (calm, busy)]
    lost = [
        float((gain.square() * ssim_price(picture)).mean()) for gain, picture in zip(gains, (calm, busy), strict=True)
    ]
    assert LOSSES[0] * SSIM_LOSS * 0.999 <= lost[0] < lost[1] <= LOSSES[1] * SSIM_LOSS * 1.001
    assert float(gains[1].square().mean()) > 1.5 * float(gains[0].square().mean())


def test_parts_that_are_harder_to_read_get_more_than_their_jnd() -> None:
    picture = torch.cat([textured(4.0), textured(25.0)], dim=3)
    raised = even_parts(jnd(picture), high_pass(picture)[1]) / jnd(picture)
    assert float(raised[..., 20:76].mean()) < float(raised[..., 116:172].mean())
    assert PARTS[0] <= float(raised.min()) and float(raised.max()) <= PARTS[1] + 1e-6


def test_a_wiener_filter_gets_back_the_share_that_is_predicted() -> None:
    """Of white noise of variance 100 through the same high-pass, and a pattern of energy 25 with 1 for rounding."""
    noise = torch.randn(1, 1, 400, 400, generator=torch.Generator().manual_seed(5)) * 10
    picture = ((128 + noise) / 255).expand(1, 3, -1, -1)
    expected = 25 / (25 + 100 * (1 - 1 / 25) + 1)
    assert float(readable_share(torch.full_like(noise, 5.0), high_pass(picture)[1]).mean()) == pytest.approx(
        expected, rel=0.03
    )


def test_small_pictures_are_marked_more_strongly() -> None:
    flat = torch.full((1, 3, 256, 256), 0.5)
    large, small = (scale_evenly(jnd(picture), picture) for picture in (flat, flat[..., :96, :96]))
    fall = 10 * math.log10(float(small.square().mean() / large.square().mean()))
    assert fall == pytest.approx(-SMALL_DB, abs=1e-3)


@pytest.mark.parametrize(("deviation", "bound"), [(0.0, EVEN_PSNR[1] + SMALL_DB), (60.0, EVEN_PSNR[0])])
def test_even_strength_stays_within_its_bounds(deviation: float, bound: float) -> None:
    picture = textured(deviation)
    error = scale_evenly(jnd(picture) * 4, picture).square().mean() / 255**2
    assert -10 * math.log10(float(error)) == pytest.approx(bound, abs=1e-3)


def test_fainter_marks_have_less_energy() -> None:
    picture = textured(20.0)
    usual, fainter = (scale_evenly(jnd(picture), picture, fainter_db=offset) for offset in (0.0, 6.0))
    torch.testing.assert_close(fainter, usual * 10 ** (-6 / 20))


def test_text_between_plain_lines_is_marked_faintly() -> None:
    page = torch.full((1, 3, 256, 384), 0.96)
    letters = torch.rand(1, 1, 256, 384, generator=torch.Generator().manual_seed(1)).round()
    rows = (torch.arange(256) % 32 < 12).view(1, 1, -1, 1)
    page = torch.where(rows, page * letters, page)
    photo = torch.where(rows, page, page + 0.02 * torch.randn(page.shape, generator=torch.Generator().manual_seed(2)))
    psnr = [-10 * math.log10(float(scale_evenly(jnd(one), one).square().mean()) / 255**2) for one in (page, photo)]
    assert psnr[0] > PLAIN_PSNR - 2.5 and psnr[1] < psnr[0] - 2
    bound = lower_bound(torch.cat([torch.zeros(1, 1, 8, 8), torch.ones(1, 1, 8, 8)]), 38.5)
    assert bound.tolist() == [PLAIN_PSNR, 38.5]
