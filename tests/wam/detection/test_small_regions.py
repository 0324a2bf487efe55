"""Small pieces: which windows may hold one, and a reduced photo found on a page."""

from __future__ import annotations

import pytest
import torch
from PIL import Image
from torch import Tensor

from wam.detection.detector import view_sizes
from wam.detection.sliding_windows import Box
from wam.detection.small_regions import LOOKS, small_windows
from wam.watermarker import Watermarker

BITS = "01100111000011110000111100001111"


def test_windows_repeat_on_finer_lattices_than_the_levels_span() -> None:
    tile = torch.rand(17, 17, generator=torch.Generator().manual_seed(3)) - 0.5
    pattern = tile.tile(24, 36)[:400, :600]
    available = torch.ones_like(pattern)
    windows = small_windows(pattern, available)
    assert len(set(windows)) == len(windows) > LOOKS
    noise = torch.rand(400, 600, generator=torch.Generator().manual_seed(4)) - 0.5
    assert small_windows(noise, available) == []
    usual = torch.rand(32, 32, generator=torch.Generator().manual_seed(3)) - 0.5
    assert small_windows(usual.tile(13, 19)[:400, :600], available) == []  # the levels show that


@pytest.mark.parametrize("scale", [0.6, 0.48])
def test_a_photo_reduced_beyond_the_levels_is_found_on_a_page(
    shipped: Watermarker, dragonfly: Image.Image, scale: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []

    def asking(pattern: Tensor, available: Tensor, *, beside_others: bool) -> list[Box]:
        asked.append(beside_others)
        return small_windows(pattern, available, beside_others=beside_others)

    monkeypatch.setattr("wam.detection.detector.small_windows", asking)
    marked = shipped.embed(dragonfly, BITS).image
    factor = 256 * scale / min(dragonfly.size)
    small = marked.resize((round(dragonfly.width * factor), round(dragonfly.height * factor)), Image.Resampling.LANCZOS)
    page = Image.new("RGB", (900, 640), "white")
    page.paste(small, (300, 200))
    (found,), search = shipped.detect_and_explain(page)
    assert found.bits == BITS
    assert not asked[0] and asked[1:] and all(asked[1:])  # again beside what was found
    assert found.pose.scale == pytest.approx(scale * 256 / 640, rel=0.02)  # 1: a page of this size, marked whole
    x, y, width, height = found.region.bbox
    assert abs(x - 300) < 12 and abs(y - 200) < 12
    assert abs(width - small.width) < 24 and abs(height - small.height) < 24
    assert search is not None
    height, width = search.views[-1]
    assert (height, width) not in [size for _, size in view_sizes(640, 900)] and f"{width}x{height}" in found.how
