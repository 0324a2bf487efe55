"""The model around the networks: residuals at any size, and sizes to work at."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tests.wam.synthetic import message
from wam.networks.embedder import Embedder
from wam.networks.extractor import Extractor
from wam.networks.watermark_network import MemoryLimits, WatermarkModel
from wam.signal.filters import resize, sized
from wam.signal.pattern import Carrier
from wam.signal.specification import TILE, WORKING_SIDE
from wam.watermarker import Watermarker


@pytest.fixture(scope="module")
def tiny() -> WatermarkModel:
    torch.manual_seed(0)
    return WatermarkModel(Embedder(channels=4), Extractor(channels=8, blocks=1), [Carrier.from_key()])


def mark(model: WatermarkModel, images: Tensor, *seeds: int, psnr_db: float = 40.0) -> Tensor:
    with torch.no_grad():
        return model.mark(images, torch.cat([message(seed) for seed in seeds or (0,)]), psnr_db=psnr_db)


def flat(height: int, width: int) -> Tensor:
    return torch.full((1, 3, height, width), 0.5)


@pytest.mark.parametrize("size", [(64, 80), (33, 200), (300, 420), (700, 520)])
def test_marks_pictures_of_any_size(tiny: WatermarkModel, size: tuple[int, int]) -> None:
    marked = mark(tiny, flat(*size), psnr_db=46.0)
    assert marked.shape == (1, 3, *size)
    assert -10 * math.log10(float((marked - 0.5).square().mean())) == pytest.approx(46.0, abs=0.1)


def test_all_colours_change_alike(tiny: WatermarkModel) -> None:
    change = mark(tiny, flat(64, 64)) - 0.5
    torch.testing.assert_close(change[:, :1], change[:, 1:2])
    torch.testing.assert_close(change[:, :1], change[:, 2:])


def test_strips_meet_without_a_seam(tiny: WatermarkModel) -> None:
    images = torch.rand(2, 3, 130, 90, generator=torch.Generator().manual_seed(0))
    whole = mark(tiny, images, 0, 1)
    strips = WatermarkModel(tiny.embedder, tiny.extractor, tiny.carriers, limits=MemoryLimits(rows=37))
    torch.testing.assert_close(mark(strips, images, 0, 1), whole, atol=2e-5, rtol=0)


def test_a_batch_is_its_pictures(tiny: WatermarkModel) -> None:
    images = torch.rand(2, 3, 64, 72, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(mark(tiny, images, 0, 1)[1:], mark(tiny, images[1:], 1), atol=1e-5, rtol=0)


def test_the_residual_is_gain_times_pattern_from_the_upper_left_corner(tiny: WatermarkModel) -> None:
    change = (mark(tiny, flat(96, 80), 2) - 0.5)[:, :1]
    pattern = tiny.carriers[0].render(message(2), torch.eye(2)[None], torch.zeros(1, 2), (96, 80))
    torch.testing.assert_close(change / change.std(), pattern / pattern.std(), atol=0.02, rtol=0)


def test_the_pattern_grows_with_the_picture(tiny: WatermarkModel) -> None:
    """Above the working resolution, a period is as many pixels longer as the picture is larger."""
    period = 2 * TILE
    change = mark(tiny, flat(2 * WORKING_SIDE, 2 * WORKING_SIDE), 2)[0, 0] - 0.5
    torch.testing.assert_close(change[:, period:], change[:, :-period], atol=1e-5, rtol=0)


def test_the_same_message_again_is_the_same_picture(tiny: WatermarkModel) -> None:
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    first, second, other = (mark(tiny, images, seed) for seed in (0, 0, 1))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_values_stay_in_range(tiny: WatermarkModel) -> None:
    for level in (0.0, 1.0):
        marked = mark(tiny, torch.full((1, 3, 64, 64), level))
        assert float(marked.min()) >= 0 and float(marked.max()) <= 1


def test_gradients_reach_picture_and_embedder(tiny: WatermarkModel) -> None:
    images = (torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(3)) * 0.8 + 0.1).requires_grad_()
    tiny.extract(tiny.mark(images, message(0), psnr_db=40.0)).pattern.square().sum().backward()
    assert images.grad is not None and float(images.grad.abs().max()) > 0
    gradient = tiny.embedder.head.weight.grad
    assert gradient is not None and float(gradient.abs().max()) > 0


def test_extracts_at_the_size_of_the_picture(tiny: WatermarkModel) -> None:
    assert tiny.extract(flat(45, 70)).pattern.shape == (1, 1, 45, 70)


def test_strips_are_read_as_the_whole_picture_is(shipped: Watermarker) -> None:
    """Whatever the borders of the strips."""
    picture = torch.rand(1, 3, 401, 120, generator=torch.Generator().manual_seed(6))
    model = shipped.model
    assert isinstance(model, WatermarkModel)
    with torch.inference_mode():
        whole = model.extract(picture)
        for rows in (64, 128, 200):
            limits = MemoryLimits(whole=1000, strip=rows)
            bounded = WatermarkModel(model.embedder, model.extractor, model.carriers, precision="bf16", limits=limits)
            strips = bounded.extract(picture)
            torch.testing.assert_close(strips.pattern, whole.pattern, atol=1e-5, rtol=0)
            torch.testing.assert_close(strips.mask_logits, whole.mask_logits, atol=1e-4, rtol=0)


def test_half_precision_reads_nearly_the_same(tiny: WatermarkModel) -> None:
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(4))
    half = WatermarkModel(tiny.embedder, tiny.extractor, tiny.carriers, precision="bf16")
    with torch.no_grad():
        exact, rounded = tiny.extract(images).pattern, half.extract(images).pattern
    assert rounded.dtype == torch.float32 and not torch.equal(rounded, exact)
    torch.testing.assert_close(rounded, exact, atol=0.05, rtol=0.1)


def test_an_unknown_precision_is_refused(tiny: WatermarkModel) -> None:
    with pytest.raises(ValueError, match="precision: expected one of fp32, bf16, fp16, found fp8"):
        WatermarkModel(tiny.embedder, tiny.extractor, tiny.carriers, precision="fp8")


@pytest.mark.parametrize(
    ("height", "width", "side", "expected"),
    [(1000, 2000, 256, (256, 512)), (50, 40, 40, (50, 40)), (40, 4000, 8, (8, 800)), (3, 900, 3, (8, 900))],
)
def test_sized(height: int, width: int, side: float, expected: tuple[int, int]) -> None:
    assert sized(height, width, side) == expected


def test_resizing_to_the_same_size_is_the_picture_itself() -> None:
    images = flat(20, 30)
    assert resize(images, (20, 30)) is images
    assert resize(images, (10, 15)).shape == (1, 3, 10, 15)
