"""Visibility figures against known cases and scikit-image."""

from __future__ import annotations

import numpy as np
import piq
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio

from tests.wam.synthetic import smooth_picture
from wam.bench.quality import quality
from wam.watermarker import to_batch

PHOTO = to_batch(smooth_picture(200, 220))


def noisy(deviation: float) -> torch.Tensor:
    grain = torch.randn(PHOTO.shape, generator=torch.Generator().manual_seed(0))
    return ((PHOTO + deviation * grain).clamp(0, 1) * 255).round() / 255


def test_an_unchanged_picture_is_perfect() -> None:
    found = quality(PHOTO, PHOTO)
    assert found["psnr_db"] is None
    assert [found[name] for name in ("ssim", "ms_ssim", "vif", "haarpsi")] == pytest.approx([1.0] * 4, abs=1e-4)


def test_psnr_agrees_with_scikit_image() -> None:
    arrays = [(batch[0] * 255).round().byte().numpy() for batch in (PHOTO, noisy(0.02))]
    assert quality(noisy(0.02), PHOTO)["psnr_db"] == pytest.approx(peak_signal_noise_ratio(*arrays), abs=1e-9)


@pytest.mark.parametrize("deviation", [0.005, 0.02, 0.08])
def test_ssim_agrees_with_piq(deviation: float) -> None:
    found = quality(noisy(deviation), PHOTO)["ssim"]
    assert found == pytest.approx(float(piq.ssim(noisy(deviation).double(), PHOTO.double(), data_range=1.0)), abs=1e-5)


@pytest.mark.parametrize("name", ["psnr_db", "ssim", "ms_ssim", "vif", "haarpsi"])
def test_more_noise_is_worse(name: str) -> None:
    values = [quality(noisy(deviation), PHOTO)[name] for deviation in (0.005, 0.02, 0.08)]
    assert values == sorted(values, key=lambda value: -value) and len(set(values)) == 3


def test_small_pictures_go_without_what_needs_more() -> None:
    small = to_batch(np.ascontiguousarray(smooth_picture(36, 36)))
    found = quality(small, small.flip(3))
    assert found["ms_ssim"] is None and found["vif"] is None and found["ssim"] is not None
