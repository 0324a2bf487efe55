from __future__ import annotations

import numpy as np
import pytest

from payload.layout import FRAME_HASH_BITS
from payload.phash import LEAST_DETAIL, PHASH_BITS, detail, distance, hash_luma, hash_rgb, hashes_before_cut, shorten

RNG = np.random.default_rng(11)


def smooth_picture(height: int, width: int, *, seed: int) -> np.ndarray:
    """A few random waves, (height, width) uint8, that look the same at every size."""
    rng = np.random.default_rng(seed)
    y, x = np.meshgrid((np.arange(height) + 0.5) / height, (np.arange(width) + 0.5) / width, indexing="ij")
    total = np.zeros((height, width))
    for _ in range(30):
        across, down, phase = rng.uniform(-12, 12), rng.uniform(-12, 12), rng.uniform(0, 7)
        total += np.cos(across * x + down * y + phase) * rng.normal()
    scaled = (total - total.min()) / (total.max() - total.min())
    return np.rint(scaled * 255).astype(np.uint8)


def test_a_picture_that_was_cut_is_near_one_of_its_guesses() -> None:
    near, far = [], []
    for seed in range(12):
        whole = np.repeat(smooth_picture(200, 300, seed=seed)[..., None], 3, axis=2)
        other = hash_rgb(np.repeat(smooth_picture(200, 300, seed=seed + 50)[..., None], 3, axis=2))
        for cut in (whole[:, :255], whole[:, :225], whole[:160]):
            guesses = hashes_before_cut(cut)
            near.append(min(distance(guess, hash_rgb(whole)) for guess in guesses))
            far.append(min(distance(guess, other) for guess in guesses))
    assert np.mean(np.array(near) <= 22) > 0.95
    assert np.mean(np.array(far) > 22) > 0.5  # waves are more alike than photos


def test_slopes_and_blank_pages_show_little_and_a_pattern_on_them_no_more() -> None:
    y, x = np.mgrid[:128, :128]
    slope = 60 + 60 * y / 128 + 40 * x / 128
    pattern = 4 * np.cos(2 * np.pi * (x * 3 + y * 5) / 32)
    shown = [
        detail(np.repeat(one.astype(np.uint8)[..., None], 3, axis=2)) for one in (slope, slope + pattern, slope * 0)
    ]
    assert max(shown) < LEAST_DETAIL and shown[2] == 0
    assert detail(np.repeat(smooth_picture(200, 300, seed=1)[..., None], 3, axis=2)) > LEAST_DETAIL


def test_noise_size_and_brightness_change_few_bits() -> None:
    picture = smooth_picture(240, 320, seed=1)
    original = hash_luma(picture)
    noisy = np.clip(picture + RNG.normal(0, 4, picture.shape), 0, 255)
    assert distance(original, hash_luma(noisy)) <= 8
    assert distance(original, hash_luma(smooth_picture(171, 333, seed=1))) <= 8
    assert distance(original, hash_luma(picture * 0.7 + 20)) <= 4


def test_a_frame_carries_half_of_the_bits_of_a_hash() -> None:
    assert (FRAME_HASH_BITS, PHASH_BITS) == (32, 64)
    assert shorten((1 << PHASH_BITS) - 1) == (1 << FRAME_HASH_BITS) - 1


def test_unrelated_pictures_differ_in_about_half_of_the_bits() -> None:
    hashes = [hash_luma(smooth_picture(100, 100, seed=seed)) for seed in range(20)]
    apart = [distance(a, b) for index, a in enumerate(hashes) for b in hashes[:index]]
    assert 24 < np.mean(apart) < 40
    assert min(apart) > 8


def test_bits_are_the_signs_of_the_written_out_transform() -> None:
    picture = RNG.uniform(0, 1, (32, 32))
    n = np.arange(32)
    coefficients = [
        (picture * np.outer(np.cos(np.pi * v * (n + 0.5) / 32), np.cos(np.pi * u * (n + 0.5) / 32))).sum()
        for v in range(1, 9)
        for u in range(1, 9)
    ]
    bits = "".join("1" if value > np.median(coefficients) else "0" for value in coefficients)
    assert hash_luma(picture) == int(bits, 2)


def test_bytes_and_floats_hash_alike() -> None:
    picture = smooth_picture(64, 48, seed=2)
    assert hash_luma(picture) == hash_luma(picture / 255)


def test_a_plain_picture_has_a_fixed_hash() -> None:
    assert hash_luma(np.full((50, 70), 0.3)) == hash_luma(np.full((9, 9), 200)) == 0


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (31, 33)])
def test_any_size_is_hashed_to_64_bits(shape: tuple[int, int]) -> None:
    assert 0 <= hash_luma(RNG.uniform(0, 1, shape)) < 1 << 64


@pytest.mark.parametrize("shape", [(63, 50), (64, 50), (150, 40)])
def test_colours_hash_as_their_luma(shape: tuple[int, int]) -> None:
    colours = np.stack([smooth_picture(*shape, seed=seed) for seed in range(3)], axis=-1)
    assert hash_rgb(colours) == hash_luma(colours @ np.array([0.299, 0.587, 0.114]))


def test_other_colour_arrays_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected \(H, W, 3\) RGB, found shape \(4, 4\)"):
        hash_rgb(np.ones((4, 4), np.uint8))


@pytest.mark.parametrize("shape", [(4, 4, 3), (0, 4), (5,)])
def test_other_arrays_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected \(H, W\) luma"):
        hash_luma(np.ones(shape))


def test_a_picture_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="expected finite luma"):
        hash_luma(np.full((4, 4), np.nan))


def test_distance_counts_bits() -> None:
    assert distance(0, (1 << 64) - 1) == 64
    assert distance(0b1100, 0b1010) == 2
