"""Small pieces: places of an enlarged part in the level it was cut from, and a reduced photo found on a page."""

from __future__ import annotations

import pytest
import torch
from PIL import Image

from tests.wam.synthetic import posed
from wam.bend import Bend
from wam.level import OUTSIDE
from wam.marker import Watermarker
from wam.small import ENLARGED, MOST, bend_in_view, logits_in_view, magnified, pose_in_view, small_windows
from wam.windows import cut

BITS = "01100111000011110000111100001111"
BOX = (40, 60, 240, 320)  # 200 rows, 260 columns
PART = torch.Size((350, 455))  # times ENLARGED


def test_a_part_is_enlarged() -> None:
    maps = torch.rand(1, 3, 300, 400, generator=torch.Generator().manual_seed(0))
    assert magnified(maps, BOX).shape[-2:] == PART
    assert PART[0] / 200 == PART[1] / 260 == ENLARGED
    torch.testing.assert_close(magnified(torch.ones(1, 1, 300, 400), BOX), torch.ones(1, 1, *PART))


def test_a_pose_of_the_part_is_that_of_the_level() -> None:
    pose = posed(20.0, 1.1, offset=(3.0, 7.0))
    seen = pose_in_view(pose, BOX, PART)
    for x, y in ((0.0, 0.0), (100.0, 30.0)):
        there = torch.tensor([x / ENLARGED + BOX[1], y / ENLARGED + BOX[0]])
        expected = pose.matrix @ torch.tensor([x, y]) + pose.offset
        torch.testing.assert_close(seen.matrix @ there + seen.offset, expected, atol=1e-4, rtol=0)


def test_a_bend_of_the_part_is_that_of_the_level() -> None:
    bend = Bend(torch.tensor([200.0, 150.0]), torch.tensor([0.0008, -0.0005]))
    seen = bend_in_view(bend, BOX)
    y, x = torch.meshgrid(torch.arange(300.0) / 30, torch.arange(400.0) / 30, indexing="ij")
    level = (x.sin() + y.cos())[None]
    straight = bend.straight(magnified(level[None], BOX)[0])
    expected = magnified(seen.straight(level)[None], BOX)[0]
    torch.testing.assert_close(straight[:, 60:-60, 60:-60], expected[:, 60:-60, 60:-60], atol=0.02, rtol=0)


def test_masks_of_the_part_lie_in_the_level() -> None:
    logits = torch.full(PART, -2.0)
    logits[70:140, 35:105] = 3.0
    seen = logits_in_view(logits, BOX, torch.Size((300, 400)))
    rows, columns = torch.nonzero(seen > 0, as_tuple=True)
    assert (int(rows.min()), int(rows.max()) + 1) == (80, 120)
    assert (int(columns.min()), int(columns.max()) + 1) == (80, 120)
    assert float(cut(seen, (0, 0, 40, 400)).max()) == OUTSIDE and seen.shape == (300, 400)


def test_windows_repeat_on_finer_lattices_than_the_levels_span() -> None:
    tile = torch.rand(17, 17, generator=torch.Generator().manual_seed(3)) - 0.5
    pattern = tile.tile(24, 36)[:400, :600]
    available = torch.ones_like(pattern)
    windows = small_windows(pattern, available)
    assert len(set(windows)) == len(windows) > MOST
    noise = torch.rand(400, 600, generator=torch.Generator().manual_seed(4)) - 0.5
    assert small_windows(noise, available) == []
    usual = torch.rand(32, 32, generator=torch.Generator().manual_seed(3)) - 0.5
    assert small_windows(usual.tile(13, 19)[:400, :600], available) == []  # the levels show that


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
    assert search is not None and search.views[-1] not in [(640, 900)]
