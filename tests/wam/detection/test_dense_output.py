"""Per-pixel output: WAM's layout, made of what was found."""

from __future__ import annotations

import numpy as np
import torch

from tests.wam.synthetic import message, smooth_picture, text
from wam.detection.localization import OUTSIDE
from wam.watermarker import Watermarker, to_batch


def test_two_halves_read_their_own_bits(light: Watermarker) -> None:
    picture = smooth_picture(160, 256)
    page = np.asarray(light.embed(picture, text(message(0))).image).copy()
    page[:, 128:] = np.asarray(light.embed(picture, text(message(1))).image)[:, 128:]
    maps = light.predict(page)[0]
    assert maps.shape == (33, 160, 256)
    for seed, part in ((0, maps[:, :, :100]), (1, maps[:, :, 156:])):
        assert float((part[0] > 0).float().mean()) > 0.95
        right = (part[1:] > 0) == (message(seed)[0] > 0)[:, None, None]
        assert float(right.float().mean()) > 0.98


def test_nothing_is_read_outside_the_mask(light: Watermarker) -> None:
    page = smooth_picture(160, 320, seed=1)
    page[:, :128] = np.asarray(light.embed(smooth_picture(160, 200), text(message(0))).image)[:, :128]
    maps = light.predict(page)[0]
    outside = maps[0] <= 0
    assert 0.1 < float(outside.float().mean()) < 0.9
    assert not maps[1:, outside].any() and bool(maps[1:, ~outside].any())


def test_an_unmarked_picture_is_not_marked_anywhere(light: Watermarker) -> None:
    maps = light.predict(smooth_picture())[0]
    assert bool((maps[0] == OUTSIDE).all())
    assert not maps[1:].any()


def test_a_batch_gives_a_row_for_each_picture(light: Watermarker) -> None:
    batch = torch.cat([to_batch(smooth_picture()), to_batch(smooth_picture(seed=1))])
    marked = light.embed(batch, torch.cat([message(0), message(1)])).image
    maps = light.predict(marked)
    assert maps.shape == (2, 33, 128, 128)
    assert not torch.equal(maps[0], maps[1])
