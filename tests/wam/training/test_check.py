"""The end-to-end check of networks in training: poses and regions are where they are said to be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.wam.synthetic import message, noise, pattern_at, posed, smooth_picture
from wam.networks.baseline_extractor import HandmadeExtractor
from wam.networks.embedder import Embedder
from wam.networks.watermark_network import WatermarkModel
from wam.signal.pattern import Carrier
from wam.training.check import AREAS, TURN, check, corners, draw_boxes, pose_found, read, view
from wam.training.photos import Photos
from wam.watermarker import to_batch


@pytest.fixture
def model(carrier: Carrier) -> WatermarkModel:
    return WatermarkModel(Embedder(), HandmadeExtractor(), [carrier]).eval()


@pytest.mark.parametrize("side", [256, 200])
def test_smooth_photos_are_read_and_synchronised(model: WatermarkModel, side: int) -> None:
    """Upright and turned: a pose that was off would read half of the bits."""
    figures = check(model, Photos([smooth_picture(256, 320, seed=seed) for seed in range(2)]), count=2, side=side)
    assert figures["psnr"] == pytest.approx(42, abs=1.5) and 0.9 < figures["ssim"] < 1
    for name in ("jpeg_bits_25", "jpeg_bits_10", "turn_bits_25", "turn_bits_10"):
        assert figures[name] > 0.97, name
    assert figures["turn_pose_25"] == figures["jpeg_pose_25"] == 1
    assert figures["margin"] > 2 and 0 <= figures["error"] < 0.05


def test_photos_that_are_not_marked_as_said_are_read_by_chance(carrier: Carrier) -> None:
    other = WatermarkModel(Embedder(), HandmadeExtractor(), [Carrier.from_key(b"another key")]).eval()
    other.mark_cells = lambda image, *rest, **named: image  # type: ignore[method-assign, assignment]
    figures = check(other, Photos([smooth_picture(256, 320)]), count=1, side=256)
    assert figures["jpeg_bits_10"] < 0.75 and figures["turn_bits_25"] < 0.75
    assert figures["jpeg_pose_10"] == figures["turn_pose_10"] == 0


def test_a_turned_view_says_where_its_pixels_were() -> None:
    picture = np.zeros((200, 300, 3), np.uint8)
    picture[58:64, 196:202] = 255  # middle: x 199, y 61
    seen = view(to_batch(picture), TURN, 100)
    rows, columns = torch.nonzero(seen.image[0, 0] > 0.5, as_tuple=True)
    spot = torch.stack([columns.float().mean() + 0.5, rows.float().mean() + 0.5])
    torch.testing.assert_close(seen.to_file[0] @ spot + seen.to_file[1], torch.tensor([199.0, 61.0]), atol=1.0, rtol=0)
    torch.testing.assert_close(seen.pose.matrix @ spot + seen.pose.offset, torch.tensor([99.5, 30.5]), atol=0.5, rtol=0)
    assert seen.pose.scale == pytest.approx(1, abs=1e-4) and abs(seen.pose.rotation_deg) == pytest.approx(
        TURN, abs=1e-3
    )


@pytest.mark.parametrize("area", AREAS)
def test_regions_lie_inside_the_turned_photo(area: float) -> None:
    seen = view(torch.full((1, 3, 256, 384), 0.9), TURN, 256)
    for top, left, bottom, right in draw_boxes(seen, area, np.random.default_rng(0)):
        assert float(seen.image[..., top:bottom, left:right].min()) > 0.8
        assert (bottom - top) * (right - left) == pytest.approx(area * 256 * 384, rel=0.03)


def test_a_region_that_nowhere_fits_is_taken_from_the_middle() -> None:
    seen = view(torch.ones(1, 3, 100, 100), 45.0, 100)
    assert draw_boxes(seen, 0.81, np.random.default_rng(0)) == [(5, 5, 95, 95)]


def test_a_pose_counts_as_found_up_to_whole_tiles_only(carrier: Carrier) -> None:
    true = posed(12.0, 1.1, offset=(3.0, 9.0))
    estimate = pattern_at(carrier, message(2), true, (160, 190)) + noise((160, 190))
    box = (20, 30, 150, 180)
    assert pose_found(estimate, box, true, carrier)
    assert pose_found(estimate, box, replace(true, offset=true.offset + torch.tensor([64.0, -32.0])), carrier)
    assert not pose_found(estimate, box, replace(true, offset=true.offset + torch.tensor([5.0, 0.0])), carrier)
    assert not pose_found(torch.zeros(160, 190), box, true, carrier)
    assert bool(((read(estimate, box, true, carrier) > 0) == (message(2)[0] > 0)).all())


def test_corners() -> None:
    assert corners((1, 2, 3, 4)).tolist() == [[2, 1], [4, 1], [2, 3], [4, 3]]
