"""How strong marks are: names and numbers, what the second law hides, and the trial that sets a picture's strength."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tests.wam.synthetic import smooth_picture
from wam.networks.baseline_extractor import HandmadeExtractor
from wam.networks.strength import STRENGTHS, checked, either, keywords, parsed, shown
from wam.networks.strength_trial import recoded
from wam.networks.visibility import CHROMA, PLAIN, Gains, PerceptualEmbedder, hidden_chroma, hidden_luma
from wam.networks.watermark_network import WatermarkModel
from wam.signal.eight_bit import as_given, floats
from wam.signal.filters import coloured, luma
from wam.signal.mark_grid import Cell
from wam.signal.pattern import Carrier
from wam.watermarker import to_batch

BITS = torch.tensor([[0, 1] * 16])


@pytest.fixture
def model() -> WatermarkModel:
    return WatermarkModel(PerceptualEmbedder(), HandmadeExtractor(), [Carrier.from_key()]).eval()


def picture(*, size: tuple[int, int] = (384, 256), seed: int = 0) -> Tensor:
    return to_batch(smooth_picture(size[1], size[0], seed=seed))


def psnr(marked: Tensor, image: Tensor) -> float:
    return float(-10 * (marked - image).square().mean().log10())


def test_amounts_are_names_or_decibels() -> None:
    assert checked("normal") is None and checked(None) is None and checked("gentle") == "gentle"
    assert parsed("45") == 45.0 and parsed("strong") == "strong" and either(None, 44.0) == 44.0
    assert [shown(one) for one in (None, "gentle", 45.0)] == ["normal", "gentle", "45 dB"]
    assert keywords(45.0) == {"psnr_db": 45.0} and keywords(None) == {"strength": "normal"}


@pytest.mark.parametrize("wrong", ["loud", 29.9, 55.1, float("nan")])
def test_what_is_no_amount_is_refused(wrong: str | float) -> None:
    with pytest.raises(ValueError, match="strength: expected"):
        checked(wrong)


def test_only_one_of_both_ways_to_say_it() -> None:
    with pytest.raises(ValueError, match="psnr: expected it without a strength, found 44 and gentle"):
        either("gentle", 44.0)
    with pytest.raises(ValueError, match="psnr: expected 30 to 55 dB, found 60"):
        either(None, 60.0)


def test_plain_places_hide_little_and_no_place_hides_much() -> None:
    grey = torch.full((1, 3, 64, 64), 0.5)
    assert float(hidden_luma(grey).max()) == pytest.approx(PLAIN, rel=0.02)
    busy = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert 1.5 < float(hidden_luma(busy)[..., 20:-20, 20:-20].mean()) < 3.2
    assert float(hidden_luma(0.05 * busy).mean()) > float(hidden_luma(0.5 + 0.05 * busy).mean())  # black hides more


def test_chroma_goes_where_the_file_keeps_it() -> None:
    grey = torch.full((1, 3, 64, 64), 0.5)
    levels = [float(hidden_chroma(grey, hidden_luma(grey), torch.tensor([c])).mean()) for c in (1.0, 1.625, 3.0)]
    assert levels == pytest.approx([0.0, CHROMA / 2, CHROMA], rel=0.02)


def test_chroma_leaves_the_luma_of_codecs_alone() -> None:
    one = torch.ones(1, 1, 2, 2)
    assert float(luma(coloured(torch.zeros_like(one), one)).abs().max()) < 1e-6
    torch.testing.assert_close(luma(coloured(one, 0.7 * one)), one)


def test_the_power_of_gains_is_what_is_added() -> None:
    gains = Gains(torch.full((2, 1, 4, 4), 2.0), torch.full((2, 1, 4, 4), 0.5))
    added = coloured(gains.luma, gains.chroma).square().mean(dim=(1, 2, 3))
    torch.testing.assert_close(gains.times(torch.tensor([1.0, 2.0])).power(), added * torch.tensor([1.0, 4.0]))


def test_the_factor_aims_at_the_margin_within_its_bounds() -> None:
    normal = STRENGTHS["normal"]
    assert normal.factor(normal.margin / 1.1) == pytest.approx(1.1)
    assert normal.factor(100.0) == normal.least
    assert normal.factor(0.1) == normal.factor(-3.0) == normal.most


def test_a_recoded_picture_is_near_and_not_the_same() -> None:
    image = picture()[0]
    apart = (recoded(image, 50) - image).abs()
    assert apart.shape == image.shape and 0 < float(apart.mean()) < 0.05


@pytest.mark.parametrize("upright", [False, True])
def test_a_strip_longer_than_a_jpeg_may_be_is_recoded_in_pieces(upright: bool) -> None:
    noise = torch.rand((3, 8, 65_600), generator=torch.Generator().manual_seed(0))
    strip = (noise * 255).byte()
    strip = strip.transpose(1, 2) if upright else strip
    again = recoded(strip, 90)
    assert again.dtype == torch.uint8 and again.shape == strip.shape
    end = strip[..., -112:, :] if upright else strip[..., -112:]  # what is left after the first piece
    assert torch.equal(again[..., -112:, :] if upright else again[..., -112:], recoded(end, 90))


@torch.inference_mode()
def test_names_are_in_order_and_a_psnr_is_met(model: WatermarkModel) -> None:
    image = picture(size=(640, 512))
    gentle, normal, strong = (psnr(model.mark(image, BITS, strength=name), image) for name in STRENGTHS)
    assert gentle >= normal >= strong and gentle > strong + 3
    assert psnr(model.mark(image, BITS, psnr_db=47.0), image) == pytest.approx(47.0, abs=0.3)


@torch.inference_mode()
def test_several_pictures_are_marked_as_each_by_itself(model: WatermarkModel) -> None:
    images = [picture(size=size, seed=seed)[0] for seed, size in enumerate([(384, 256), (384, 256), (300, 520)])]
    bits = torch.randint(0, 2, (3, 32), generator=torch.Generator().manual_seed(0))
    together = model.mark_each(images, bits)
    for image, row, marked in zip(images, bits, together, strict=True):
        torch.testing.assert_close(model.mark(image[None], row[None])[0], marked, atol=2e-4, rtol=0)


@torch.inference_mode()
def test_cells_get_the_most_of_their_strength(model: WatermarkModel) -> None:
    image = picture(size=(512, 512))
    cells = [Cell(0, 0, 512, 256), Cell(0, 256, 512, 256)]
    (faint,), (loud,) = (
        model.mark_cells_each([image[0]], [BITS.repeat(2, 1)], [cells], sides=[256], strength=name)
        for name in ("gentle", "strong")
    )
    ratio = STRENGTHS["strong"].most / STRENGTHS["gentle"].most
    assert float((loud - image[0]).std() / (faint - image[0]).std()) == pytest.approx(ratio, rel=0.1)


@torch.inference_mode()
def test_cells_of_smooth_pictures_get_more(model: WatermarkModel) -> None:
    """A picture of one colour hides little, so that its cells are made as loud as the quietest may be."""
    ramp = torch.linspace(0.3, 0.7, 512).expand(1, 3, 512, 512)
    cells = [Cell(0, 0, 512, 256), Cell(0, 256, 512, 256)]
    (usual,) = model.mark_cells_each([ramp[0]], [BITS.repeat(2, 1)], [cells], sides=[256])
    (gentle,) = model.mark_cells_each([ramp[0]], [BITS.repeat(2, 1)], [cells], sides=[256], strength="gentle")
    found = [-10 * math.log10(float((one - ramp[0]).square().mean())) for one in (usual, gentle)]
    factor = STRENGTHS["normal"].most / STRENGTHS["gentle"].most
    assert found[1] - found[0] == pytest.approx(20 * math.log10(factor), abs=0.1)
    assert 46.5 < found[0] < 49.5


def test_a_strip_of_eight_bits_is_tried_and_marked_as_its_floats_are(model: WatermarkModel) -> None:
    strip = (picture(size=(128, 900)) * 255).round().byte()  # its short side is tried as it is, whatever its length
    marked = model.mark(strip, BITS)
    assert marked.dtype == torch.uint8 and not torch.equal(marked, strip)
    assert torch.equal(marked, as_given(model.mark(floats(strip), BITS), strip))
