"""Where a picture is smoothest, and the figures of a mark there, on pictures whose answers are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.wam.synthetic import handmade_marker, smooth_picture
from wam.bench.smooth_part import (
    BLOCK,
    LEAST_NOISE,
    PART,
    Part,
    block_noise,
    find_part,
    luma_of,
    period_of,
    repeats,
    stand_out,
)

SIZE = (320, 480)
Y, X = (grid.astype(np.float32) for grid in np.mgrid[: SIZE[0], : SIZE[1]])
BITS = "01100111000011110000111100001111"


def grain(deviation: float, *, seed: int = 0, size: tuple[int, int] = SIZE) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, deviation, size).astype(np.float32)


def test_slopes_and_curves_are_no_noise_and_grain_is() -> None:
    curved = 40 + 0.3 * X + 0.2 * Y + 0.001 * X * Y - 0.0005 * X**2
    assert block_noise(curved).max() < 0.02
    noise = block_noise(curved + grain(0.8))
    assert noise.shape == (SIZE[0] // BLOCK, SIZE[1] // BLOCK)
    assert math.sqrt(float(np.square(noise).mean())) == pytest.approx(0.8, rel=0.02)


def test_the_smoothest_part_is_found_wherever_it_is() -> None:
    picture = 120 + grain(6)
    picture[112:, 192:] = 90 + 0.1 * X[112:, 192:]
    part = find_part(picture)
    assert (part.height, part.width) == PART
    assert part.top >= 112 and part.left >= 192
    assert SIZE[0] - part.top - part.height >= 20 and SIZE[1] - part.left - part.width >= 20  # half a period


def test_of_equally_smooth_parts_one_of_middle_grey_in_the_middle_is_taken() -> None:
    halves = np.where(X < 200, 255, 140).astype(np.float32)
    assert find_part(halves).left >= 200
    even = find_part(np.full(SIZE, 128, np.float32))
    assert abs(even.top + even.height / 2 - SIZE[0] / 2) <= BLOCK
    assert abs(even.left + even.width / 2 - SIZE[1] / 2) <= BLOCK


@pytest.mark.parametrize("size", [(32, 47), (100, 600), (600, 100)])
def test_a_small_picture_is_its_own_part_where_it_has_to_be(size: tuple[int, int]) -> None:
    picture = 128 + grain(1, size=size)
    part = find_part(picture)
    assert (part.height, part.width) == (min(size[0], PART[0]), min(size[1], PART[1]))
    assert part.top + part.height <= size[0] and part.left + part.width <= size[1]
    assert stand_out(picture + 1, picture, part, period_of(*size)).residual == pytest.approx(1)


def test_residual_and_noise_are_those_of_the_smoother_half() -> None:
    picture = 128 + grain(0.7)
    picture[:, :320] += grain(30)[:, :320]  # what the part has of this is its busier half
    wave = 2 * np.sin(2 * np.pi * X / 10).astype(np.float32)
    found = stand_out(picture + wave, picture, Part(80, 208, *PART), 40.0)
    assert found.own_noise == pytest.approx(0.7, rel=0.03)
    assert found.residual == pytest.approx(math.sqrt(2), rel=0.02)
    assert found.over_noise == pytest.approx(found.residual / found.own_noise)


def test_a_picture_without_noise_counts_as_one_with_a_little() -> None:
    flat = np.full(SIZE, 128, np.float32)
    found = stand_out(flat + grain(0.7), flat, find_part(flat), 40.0)
    assert found.own_noise == 0 and found.over_noise == pytest.approx(0.7 / LEAST_NOISE, rel=0.05)


@pytest.mark.parametrize("period", [40.0, 37.3])
def test_a_wallpaper_repeats_and_noise_does_not(period: float) -> None:
    paper = (np.sin(2 * np.pi * 3 * X / period) + np.cos(2 * np.pi * (2 * X + Y) / period)).astype(np.float32)
    smooth = np.ones((SIZE[0] // BLOCK, SIZE[1] // BLOCK), bool)
    found = repeats(paper, smooth, period)
    assert found is not None and found > 0.99
    half = repeats(paper + grain(1), smooth, period)  # as much noise as paper: half of the power repeats
    assert half is not None and half == pytest.approx(0.5, abs=0.08)
    alone = repeats(grain(1), smooth, period)
    assert alone is not None and abs(alone) < 0.02


def test_only_smooth_places_count_and_too_few_give_no_figure() -> None:
    paper = np.sin(2 * np.pi * X / 20).astype(np.float32)
    smooth = np.zeros((SIZE[0] // BLOCK, SIZE[1] // BLOCK), bool)
    smooth[:, : smooth.shape[1] // 2] = True
    spoilt = np.where(X < 240, paper, grain(9))
    found = repeats(spoilt, smooth, 40.0)
    assert found is not None and found > 0.99
    assert repeats(paper, smooth & False, 40.0) is None
    assert repeats(paper, smooth, 400.0) is None
    assert repeats(np.zeros(SIZE, np.float32), smooth, 40.0) is None


@pytest.mark.parametrize("size", [(300, 420), (200, 300)])
def test_the_period_is_that_of_a_mark(size: tuple[int, int]) -> None:
    original = np.ascontiguousarray(smooth_picture(*size))
    marked = handmade_marker().embed(original, BITS).image
    residual = luma_of(marked) - luma_of(original)
    smooth = np.ones((size[0] // BLOCK, size[1] // BLOCK), bool)
    found = {factor: repeats(residual, smooth, factor * period_of(*size)) for factor in (0.8, 1.0, 1.2)}
    assert found[1.0] is not None and found[1.0] > 0.8
    assert all(value is not None and value < 0.4 for factor, value in found.items() if factor != 1.0)
