"""Parts of a view: what is found in them lies where it was in the view, whatever they were enlarged by."""

from __future__ import annotations

import pytest
import torch

from tests.wam.synthetic import posed
from wam.detection.crop import Part
from wam.detection.homography import Bend
from wam.detection.localization import OUTSIDE
from wam.detection.sliding_windows import cut

SIZE = (300, 400)
BOX = (40, 60, 240, 320)  # 200 rows, 260 columns
SCALES = pytest.mark.parametrize("scale", [1.0, 1.75])


def test_surroundings_of_a_window_end_with_the_view() -> None:
    assert Part.around((100, 100, 200, 220), 96, SIZE) == Part((4, 4, 296, 316), SIZE)
    assert Part.around((0, 300, 192, 400), 10, SIZE).box == (0, 290, 202, 400)


@SCALES
def test_a_part_is_cut_out_and_enlarged(scale: float) -> None:
    maps = torch.rand(1, 3, *SIZE, generator=torch.Generator().manual_seed(0))
    part = Part(BOX, SIZE, scale)
    assert part.shown == (200 * scale, 260 * scale)
    assert part.cut(maps).shape == (1, 3, *part.shown)
    torch.testing.assert_close(part.cut(torch.ones(1, 1, *SIZE)), torch.ones(1, 1, *part.shown))
    if scale == 1:
        assert torch.equal(part.cut(maps), cut(maps, BOX))


@SCALES
def test_poses_go_there_and_back(scale: float) -> None:
    part, pose = Part(BOX, SIZE, scale), posed(20.0, 1.1, offset=(3.0, 7.0))
    inside = part.pose_inside(pose)
    for x, y in ((0.0, 0.0), (100.0, 30.0)):
        here, there = torch.tensor([x, y]), torch.tensor([x, y]) * scale
        seen = pose.matrix @ (here + torch.tensor([60.0, 40.0])) + pose.offset
        torch.testing.assert_close(inside.matrix @ there + inside.offset, seen, atol=1e-4, rtol=0)
    back = part.pose_in_view(inside)
    torch.testing.assert_close(back.matrix, pose.matrix)
    torch.testing.assert_close(back.offset, pose.offset, atol=1e-4, rtol=0)


def test_sides_that_are_no_whole_number_of_pixels_are_rounded_and_the_pose_knows() -> None:
    part = Part((0, 0, 101, 103), SIZE, 1.75)
    assert part.shown == (177, 180)
    seen = part.pose_in_view(posed(0.0, 1.0))
    corner = seen.matrix @ torch.tensor([103.0, 101.0]) + seen.offset
    torch.testing.assert_close(corner, torch.tensor([180.0, 177.0]), atol=1e-4, rtol=0)


@SCALES
def test_a_bend_of_the_part_is_that_of_the_view(scale: float) -> None:
    part = Part(BOX, SIZE, scale)
    bend = Bend(torch.tensor([115.0, 85.0]) * scale, torch.tensor([0.0014, -0.0009]) / scale, nearest=0.25)
    y, x = torch.meshgrid(torch.arange(300.0) / 30, torch.arange(400.0) / 30, indexing="ij")
    level = (x.sin() + y.cos())[None]
    straight = bend.straight(part.cut(level[None])[0])
    expected = part.cut(part.bend_in_view(bend).straight(level)[None])[0]
    inner = (slice(None), slice(60, -60), slice(60, -60))
    torch.testing.assert_close(straight[inner], expected[inner], atol=0.02, rtol=0)


def test_bend_and_pose_of_a_part_with_rounded_sides_agree() -> None:
    part, pose = Part((0, 0, 101, 103), SIZE, 1.75), posed(0.0, 1.0)
    bend = part.bend_in_view(Bend(torch.tensor([180.0, 177.0]), torch.zeros(2), nearest=0.25))
    seen = part.pose_in_view(pose)
    torch.testing.assert_close(seen.matrix @ bend.centre + seen.offset, torch.tensor([180.0, 177.0]))


def test_what_a_part_holds() -> None:
    part = Part(BOX, SIZE)
    assert part.holds(BOX) and part.holds((50, 60, 240, 300))
    assert not any(part.holds(box) for box in ((39, 60, 240, 320), (40, 60, 241, 320), (40, 59, 100, 100)))


@SCALES
def test_masks_of_the_part_lie_in_the_view(scale: float) -> None:
    part = Part(BOX, SIZE, scale)
    logits = torch.full(part.shown, -2.0)
    logits[round(40 * scale) : round(80 * scale), round(20 * scale) : round(60 * scale)] = 3.0
    seen = part.logits_in_view(logits)
    rows, columns = torch.nonzero(seen > 0, as_tuple=True)
    assert (int(rows.min()), int(rows.max()) + 1) == (80, 120)
    assert (int(columns.min()), int(columns.max()) + 1) == (80, 120)
    assert float(cut(seen, (0, 0, 40, 400)).max()) == OUTSIDE and seen.shape == SIZE


@pytest.mark.parametrize(
    ("box", "place", "goes_on"),
    [
        (BOX, (100, 100), False),
        (BOX, (100, 3), True),
        (BOX, (3, 100), True),
        (BOX, (196, 100), True),
        (BOX, (100, 256), True),
        (BOX, (8, 251), False),  # the last within, by a pixel
        ((0, 0, 240, 320), (0, 0), False),  # the view ends there itself
        ((60, 80, 300, 400), (239, 319), False),
        ((0, 0, *SIZE), (299, 0), False),
    ],
)
def test_a_mark_goes_on_where_it_comes_near_a_side_that_is_none_of_the_view(
    box: tuple[int, int, int, int], place: tuple[int, int], goes_on: bool
) -> None:
    part = Part(box, SIZE)
    mask = torch.zeros(part.shown, dtype=torch.bool)
    mask[place] = True
    assert part.goes_on(mask, 8) == goes_on
    assert not part.goes_on(mask, 0)
