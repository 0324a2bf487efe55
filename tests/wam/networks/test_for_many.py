"""One picture with many messages: what is done once for all of them gives what marking each by itself does."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tests.wam.synthetic import message, smooth_picture, text
from wam.networks.watermark_network import MemoryLimits
from wam.pictures.quality import psnr
from wam.signal.label import Label
from wam.watermarker import Watermarker

LABEL = Label(0x7761_6D00_0000_0001, 3)


@pytest.mark.parametrize("strength", [None, "strong", 42.0])
@pytest.mark.parametrize("side", [96, 300])
def test_marks_of_the_first_law_are_the_same(light: Watermarker, strength: str | float | None, side: int) -> None:
    pixels = smooth_picture(side, side + 20)
    many = light.for_many(pixels, strength=strength)
    for seed in range(3):
        bits = text(message(seed))
        (alone,) = light.embed_each([pixels], [bits], strength=strength)
        assert np.abs(many(bits).astype(int) - alone).max() <= 1  # roundings
        assert (many(bits) == alone).mean() > 0.999


@pytest.fixture(scope="module")
def photo(shipped: Watermarker, dragonfly: Image.Image) -> np.ndarray:
    return np.asarray(dragonfly)


@pytest.mark.parametrize("label", [None, LABEL])
def test_marks_by_a_shared_trial_are_as_strong_and_as_surely_read(
    shipped: Watermarker, photo: np.ndarray, label: Label | None
) -> None:
    marker = shipped.marking_as(label)
    many = marker.for_many(photo)
    for seed in range(2):
        bits = text(message(seed))
        shared, own = many(bits), np.asarray(marker.embed(photo, bits).image)
        assert psnr(photo, shared) == pytest.approx(psnr(photo, own), abs=0.6)
        scores = [marker.read_whole(one) for one in (shared, own)]
        assert [one is not None and one.bits for one in scores] == [bits, bits]
        first, second = (one.score for one in scores if one is not None)
        assert first > 0.9 * second


def test_a_picture_too_large_to_keep_its_levels_is_marked_alike(
    shipped: Watermarker, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    bits = text(message(5))
    kept = shipped.for_many(photo)(bits)
    monkeypatch.setattr(shipped.model, "limits", MemoryLimits(rows=128, levels=1000))
    apart = shipped.for_many(photo)(bits)
    assert np.abs(kept.astype(int) - apart).max() <= 1


def test_reading_whole_pictures_says_what_a_search_says(shipped: Watermarker, photo: np.ndarray) -> None:
    bits = text(message(1))
    marker = shipped.marking_as(LABEL)
    marked = marker.for_many(photo)(bits)
    found, (searched, *_) = marker.read_whole(marked), shipped.knowing([LABEL]).glance(marked)
    assert found is not None
    assert (found.bits, found.label, found.region.area) == (bits, LABEL, 1.0)
    assert found.score == pytest.approx(searched.score, rel=0.05)
    assert found.label_log10_p == pytest.approx(searched.label_log10_p, rel=0.05)
    unmarked, other = marker.read_whole(photo), shipped.read_whole(marked)
    assert unmarked is not None and unmarked.log10_p > -1  # nor is a mark of another label taken for one without
    assert other is not None and other.log10_p > shipped.model.description.present
