"""Small pieces: which windows may hold one, and a reduced photo found on a page."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from PIL import Image

from wam.detection.config import DEFAULT_SEARCH as SEARCH
from wam.detection.detector import view_sizes
from wam.detection.small_regions import small_windows
from wam.watermarker import Watermarker

BITS = "01100111000011110000111100001111"


def test_windows_repeat_on_finer_lattices_than_the_levels_span() -> None:
    tile = torch.rand(17, 17, generator=torch.Generator().manual_seed(3)) - 0.5
    pattern = tile.tile(24, 36)[:400, :600]
    available = torch.ones_like(pattern)
    windows = small_windows(pattern, available, SEARCH)
    assert len(set(windows)) == len(windows) > SEARCH.small_regions.looks
    noise = torch.rand(400, 600, generator=torch.Generator().manual_seed(4)) - 0.5
    assert small_windows(noise, available, SEARCH) == []
    usual = torch.rand(32, 32, generator=torch.Generator().manual_seed(3)) - 0.5
    assert small_windows(usual.tile(13, 19)[:400, :600], available, SEARCH) == []  # the levels show that


@pytest.mark.parametrize("scale", [0.6, 0.48])
def test_a_photo_reduced_beyond_the_levels_is_found_on_a_page(
    shipped: Watermarker, dragonfly: Image.Image, scale: float
) -> None:
    marked = shipped.embed(dragonfly, BITS).image
    factor = 256 * scale / min(dragonfly.size)
    small = marked.resize((round(dragonfly.width * factor), round(dragonfly.height * factor)), Image.Resampling.LANCZOS)
    page = Image.new("RGB", (900, 640), "white")
    page.paste(small, (300, 200))
    (found,), search = shipped.detect_and_explain(page)
    assert found.bits == BITS
    assert found.pose.scale == pytest.approx(scale * 256 / 640, rel=0.02)  # 1: a page of this size, marked whole
    x, y, width, height = found.region.bbox
    assert abs(x - 300) < 12 and abs(y - 200) < 12
    assert abs(width - small.width) < 24 and abs(height - small.height) < 24
    assert search is not None
    height, width = search.views[-1]
    assert (height, width) not in [
        size for _, size in view_sizes(640, 900, SEARCH.pyramid)
    ] and f"{width}x{height}" in found.how


def test_beside_others_less_periodicity_is_asked_for() -> None:
    """The same windows are taken once another mark was found in the picture, and not before."""
    tile = torch.rand(17, 17, generator=torch.Generator().manual_seed(3)) - 0.5
    faint = tile.tile(24, 36)[:400, :600] + 2.2 * torch.randn(400, 600, generator=torch.Generator().manual_seed(4))
    available = torch.ones_like(faint)
    eager = replace(SEARCH.small_regions, periodicity=1000.0, finer=0.0)
    config = replace(SEARCH, small_regions=eager)
    assert small_windows(faint, available, config) == []
    assert small_windows(faint, available, config, beside_others=True) != []
