"""Visibility figures against known cases and scikit-image."""

from __future__ import annotations

import numpy as np
import piq
import pytest
import torch
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import peak_signal_noise_ratio

from tests.wam.synthetic import smooth_picture
from wam.bench import perception
from wam.bench.perception import MODULES, MOST_PIXELS, absent, described, perceived
from wam.bench.quality import ALWAYS, is_complete, quality
from wam.pictures.quality import ciede2000
from wam.watermarker import to_batch

PHOTO = to_batch(smooth_picture(200, 220))
needs_packages = pytest.mark.skipif(bool(absent()), reason="needs the extra [visibility]")


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


def pixels(batch: torch.Tensor) -> np.ndarray:
    return (batch[0] * 255).round().byte().permute(1, 2, 0).numpy()


def test_ciede2000_is_the_mean_over_the_picture() -> None:
    first, second = pixels(PHOTO), pixels(noisy(0.02))
    expected = deltaE_ciede2000(rgb2lab(first), rgb2lab(second)).mean()
    assert ciede2000(first, second) == pytest.approx(float(expected), abs=1e-9) and ciede2000(first, first) == 0
    tall = np.tile(first, (30, 2, 1))  # of several strips
    other = np.tile(second, (30, 2, 1))
    assert ciede2000(tall, other) == pytest.approx(float(expected), abs=1e-9)


@needs_packages
def test_what_is_not_seen_has_ten_jod_and_no_flip_and_more_noise_is_worse() -> None:
    assert perceived(pixels(PHOTO), pixels(PHOTO)) == pytest.approx({"cvvdp_jod": 10.0, "flip": 0.0}, abs=1e-3)
    found = [perceived(pixels(noisy(deviation)), pixels(PHOTO)) for deviation in (0.005, 0.02, 0.08)]
    jods, flips = ([each[name] for each in found] for name in MODULES)
    assert jods == sorted(jods, reverse=True) and flips == sorted(flips)
    assert jods[0] - jods[2] > 1 and flips[2] > 2 * flips[0]


@needs_packages
def test_figures_are_those_of_the_packages_themselves() -> None:
    import flip_evaluator
    import pycvvdp

    first, second = pixels(PHOTO), pixels(noisy(0.02))
    jod, _ = pycvvdp.cvvdp(display_name="standard_4k", device=torch.device("cpu")).predict(
        second, first, dim_order="HWC"
    )
    flip = flip_evaluator.evaluate(first.astype(np.float32) / 255, second.astype(np.float32) / 255, "LDR")[1]
    assert perceived(second, first) == pytest.approx({"cvvdp_jod": float(jod), "flip": flip}, abs=1e-6)


@needs_packages
def test_of_a_large_picture_the_middle_is_compared() -> None:
    large = np.full((1600, 2000, 3), 128, np.uint8)
    assert large[..., 0].size > MOST_PIXELS
    border = large.copy()
    border[:100], border[-100:] = 140, 140
    assert perceived(border, large)["flip"] == pytest.approx(0, abs=1e-6)


def test_without_the_packages_their_figures_are_left_out_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(perception, "find_spec", lambda name: None)
    assert absent() == tuple(MODULES)
    assert set(quality(noisy(0.02), PHOTO)) == set(ALWAYS)
    assert "pip install cvvdp flip-evaluator  # the extra [visibility]" in described()


def test_a_quality_is_complete_when_it_has_what_would_be_measured_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(perception, "find_spec", lambda name: None if name == "pycvvdp" else object())
    values: dict[str, float | None] = dict.fromkeys(ALWAYS)
    assert not is_complete(values) and is_complete({**values, "flip": 0.1})
    assert not is_complete({"psnr_db": 42.0, "flip": 0.1})  # of an earlier version
