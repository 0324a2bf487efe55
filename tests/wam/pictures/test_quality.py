"""Figures of quality: the same as those of a library that takes the whole picture at once."""

from __future__ import annotations

import numpy as np
import piq
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio

from tests.wam.synthetic import smooth_picture
from wam.pictures.colour import STRIP_SAMPLES
from wam.pictures.quality import psnr, ssim


def pair(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    first = smooth_picture(height, width)
    change = np.random.default_rng(1).integers(-4, 5, first.shape)
    return first, (first + change).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("size", [(40, 56), (256, 300), (700, 533), (1031, 777)])
def test_ssim_is_that_of_piq(size: tuple[int, int]) -> None:
    first, second = pair(*size)
    whole = [torch.from_numpy(pixels).permute(2, 0, 1)[None].double() / 255 for pixels in (first, second)]
    assert ssim(first, second) == pytest.approx(float(piq.ssim(*whole, data_range=1.0)), abs=1e-5)


@pytest.mark.parametrize("size", [(90, 70), (1500, 701)])  # within a strip, and of several with a rest
def test_psnr_is_that_of_scikit_image(size: tuple[int, int]) -> None:
    first, second = pair(*size)
    assert (first.size > 2 * STRIP_SAMPLES) == (size[0] == 1500)
    assert psnr(first, second) == pytest.approx(peak_signal_noise_ratio(first, second), abs=1e-9)


def test_equal_pictures_have_no_noise() -> None:
    assert psnr(smooth_picture(), smooth_picture()) == float("inf")


def test_a_window_that_is_not_contiguous_is_measured_as_its_copy() -> None:
    first, second = (picture[3:, 5:] for picture in pair(530, 545))
    assert ssim(first, second) == ssim(first.copy(), second.copy())
