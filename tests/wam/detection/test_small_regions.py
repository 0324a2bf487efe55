"""Small pieces: which windows may hold one, and a reduced photo found on a page."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from PIL import Image

from wam.detection.config import DEFAULT_SEARCH as SEARCH
from wam.detection.config import SearchConfig
from wam.detection.pyramid import view_sizes
from wam.detection.sliding_windows import Measured, Window
from wam.detection.small_regions import small_windows
from wam.detection.view import Unexplained, View
from wam.networks.extractor import ExtractorOutput
from wam.signal.pattern import Carrier
from wam.watermarker import Watermarker

BITS = "01100111000011110000111100001111"


def windows_of(pattern: torch.Tensor, config: SearchConfig = SEARCH, *, beside_others: bool = False) -> list[Window]:
    output = ExtractorOutput(pattern[None, None], torch.zeros(1, 1, *pattern.shape))
    view = View(torch.zeros(1, 3, *pattern.shape), output, Carrier.from_key(), 17.0, config)
    return small_windows(view, Unexplained(torch.ones_like(pattern)), Measured(), beside_others=beside_others)


def test_windows_repeat_on_finer_lattices_than_the_levels_span() -> None:
    tile = torch.rand(17, 17, generator=torch.Generator().manual_seed(3)) - 0.5
    windows = windows_of(tile.tile(24, 36)[:400, :600])
    assert len({one.box for one in windows}) == len(windows) > SEARCH.small_regions.looks
    assert windows_of(torch.rand(400, 600, generator=torch.Generator().manual_seed(4)) - 0.5) == []
    usual = torch.rand(32, 32, generator=torch.Generator().manual_seed(3)) - 0.5
    assert windows_of(usual.tile(13, 19)[:400, :600]) == []  # the levels show that


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
    levels = [size for _, size in view_sizes(640, 900, SEARCH.pyramid)]
    enlarged = [f"{width}x{height}" for height, width in search.views if (height, width) not in levels]
    assert found.how.rpartition(" at ")[2] in enlarged


def test_beside_others_less_periodicity_is_asked_for() -> None:
    """The same windows are taken once another mark was found in the picture, and not before."""
    tile = torch.rand(17, 17, generator=torch.Generator().manual_seed(3)) - 0.5
    faint = tile.tile(24, 36)[:400, :600] + 2.2 * torch.randn(400, 600, generator=torch.Generator().manual_seed(4))
    eager = replace(SEARCH.small_regions, standing=1000.0, finer=0.0)
    config = replace(SEARCH, small_regions=eager)
    assert windows_of(faint, config) == []
    assert windows_of(faint, config, beside_others=True) != []
