"""Training scenes: the ground truth is where the mark really is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from wam.networks.embedder import Embedder, scale_evenly
from wam.signal.pattern import Carrier
from wam.training.losses import bit_accuracy, pooled_bit_logits
from wam.training.scenes import (
    CONTENT,
    FILE,
    VIEW,
    Difficulty,
    Geometry,
    draw_gains,
    draw_geometry,
    draw_masks,
    make_scene,
    mark,
    usual_factor,
    warp,
)


def flat_content(count: int) -> Tensor:
    grain = torch.randn(count, 1, CONTENT, CONTENT, generator=torch.Generator().manual_seed(0))
    return (0.5 + 0.004 * grain).repeat(1, 3, 1, 1)


def upright(*, zoom: float = 1.0) -> Geometry:
    return Geometry(torch.tensor([zoom]), torch.zeros(1, 2), torch.eye(2)[None], torch.zeros(1, 2))


@pytest.mark.parametrize(
    ("level", "fainter", "share"), [(0.0, (-5.0, -2.0), 0.3), (0.5, (-4.5, 3.0), 0.5), (1.0, (-4.0, 8.0), 0.7)]
)
def test_difficulty(level: float, fainter: tuple[float, float], share: float) -> None:
    assert Difficulty(level).fainter_range == fainter
    assert Difficulty(level).degraded_share == pytest.approx(share)


def test_poses_cover_turns_mirrors_and_scales() -> None:
    matrix, _ = draw_geometry(400, np.random.default_rng(0)).pose
    scales = matrix.det().abs() ** -0.5
    assert float(scales.min()) < 0.7 and float(scales.max()) > 1.4
    assert 0.15 < float((matrix.det() < 0).float().mean()) < 0.35
    upright = (matrix[:, 0, 1].abs() + matrix[:, 1, 0].abs()) < 1e-6
    assert 0.05 < float(upright.float().mean()) < 0.4


def test_the_pose_of_a_view_joins_both_maps() -> None:
    geometry = draw_geometry(5, np.random.default_rng(1))
    matrix, offset = geometry.pose
    view = torch.tensor([10.0, 20.0])
    in_file = geometry.view_matrix @ view + geometry.view_offset
    there = torch.einsum("bij,bj->bi", geometry.file_matrix, in_file) + geometry.file_offset
    torch.testing.assert_close(matrix @ view + offset, there)


def test_masks_are_of_every_kind() -> None:
    masks = draw_masks(200, np.random.default_rng(0), torch.device("cpu"))
    assert masks.shape == (200, 1, FILE, FILE) and set(masks.unique().tolist()) == {0.0, 1.0}
    shares = masks.mean(dim=(1, 2, 3))
    assert 0.35 < float((shares == 1).float().mean()) < 0.55 and 0.03 < float((shares == 0).float().mean()) < 0.15
    assert int(((shares > 0.05) & (shares < 0.95)).sum()) > 60
    boxes = (masks == masks.amax(dim=2, keepdim=True) * masks.amax(dim=3, keepdim=True)).flatten(1).all(dim=1)
    assert 5 < int((boxes & (shares > 0) & (shares < 1)).sum()) < 80  # one box, among other shapes


def test_a_marked_file_is_rounded_and_changed_only_inside_the_mask() -> None:
    photo = torch.full((2, 3, FILE, FILE), 128 / 255)
    mask = torch.zeros(2, 1, FILE, FILE)
    mask[..., 50:] = 1
    residual = torch.full((2, 3, FILE, FILE), 2.4, requires_grad=True)
    files = mark(photo, residual, mask, torch.tensor([True, False]))
    assert torch.equal(files[..., :50], photo[..., :50])
    levels = files.detach()[..., 50:] * 255
    torch.testing.assert_close(levels[0], torch.full_like(levels[0], 130.0), atol=1e-3, rtol=0)
    torch.testing.assert_close(levels[1], torch.full_like(levels[1], 130.4), atol=1e-3, rtol=0)
    files.square().sum().backward()
    assert residual.grad is not None and float(residual.grad.abs().sum()) > 0  # straight through the rounding


def test_marks_of_all_looks_are_drawn() -> None:
    content = flat_content(60)
    content[30:] = (content[30:] - 0.5) * 20 + 0.5  # a deviation of some 20 levels
    gain = Embedder()(content).detach()
    luma, chroma = draw_gains(gain, content.clamp(0, 1), Difficulty(1.0), np.random.default_rng(0))
    assert luma.shape == chroma.shape == gain.shape and float(luma.min()) > 0 and float(chroma.min()) >= 0
    strength = luma.square().mean(dim=(1, 2, 3)).sqrt()
    assert float(strength[:30].max() / strength[:30].min()) > 5  # 14 dB and more
    share = chroma.mean(dim=(1, 2, 3))
    assert 8 < int((share == 0).sum()) < 35
    assert float(share[:30].median()) > float(share[30:].median())


def test_the_usual_strength_is_about_that_of_the_embedder() -> None:
    content = flat_content(3) + torch.linspace(0, 0.2, CONTENT).sin()
    content[1:] += 0.05 * torch.randn(2, 1, CONTENT, CONTENT, generator=torch.Generator().manual_seed(1))
    content = content.clamp(0, 1)
    gain = Embedder()(content).detach()
    psnr = -20 * ((gain * usual_factor(gain, content)).square().mean(dim=(1, 2, 3)).sqrt() / 255).log10()
    exact = -20 * (scale_evenly(gain, content).square().mean(dim=(1, 2, 3)).sqrt() / 255).log10()
    assert float((psnr - exact).abs().max()) < 3.0


def test_an_upright_view_is_a_cut_of_the_file() -> None:
    images = torch.rand(1, 3, FILE, FILE, generator=torch.Generator().manual_seed(0))
    view = warp(images, upright(), mode="bilinear")
    torch.testing.assert_close(view, images[..., :VIEW, :VIEW], atol=1e-4, rtol=0)


def test_a_view_beyond_the_file_is_black() -> None:
    geometry = Geometry(torch.ones(1), torch.zeros(1, 2), torch.eye(2)[None], torch.tensor([[-40.0, 0.0]]))
    view = warp(torch.ones(1, 3, FILE, FILE), geometry, mode="bilinear")
    assert float(view[..., :39].max()) == 0.0 and float(view[..., 41:].min()) == pytest.approx(1.0, abs=1e-4)


def test_a_shrunk_view_is_low_passed_first() -> None:
    stripes = torch.zeros(1, 3, FILE, FILE)
    stripes[..., ::2] = 1
    geometry = Geometry(torch.ones(1), torch.zeros(1, 2), 1.6 * torch.eye(2)[None], torch.full((1, 2), -6.0))
    view = warp(stripes, geometry, mode="bilinear")[..., 20:-20, 20:-20]
    assert float(view.std()) < 0.15


def test_bits_are_readable_at_the_pose_of_the_scene(carrier: Carrier) -> None:
    """The pattern that is given as truth is the one in the picture: at full gain it reads every bit."""
    content = flat_content(6)
    scene = make_scene(content, Embedder()(content).detach(), carrier, Difficulty(0.0), np.random.default_rng(2))
    present = scene.mask.mean(dim=(1, 2, 3)) > 0.2
    seen = scene.view.mean(1, keepdim=True)
    logits = pooled_bit_logits(seen - seen.mean(), scene.mask, carrier, scene.matrix, scene.offset)
    assert int(present.sum()) >= 3
    assert bit_accuracy(logits, scene.bits, present) > 0.85
    truth = pooled_bit_logits(scene.pattern, scene.mask, carrier, scene.matrix, scene.offset)
    assert bit_accuracy(truth, scene.bits, present) == 1.0


def test_a_scene_has_the_shapes_and_ranges_it_says(carrier: Carrier) -> None:
    content = flat_content(3)
    scene = make_scene(content, Embedder()(content).detach(), carrier, Difficulty(1.0), np.random.default_rng(0))
    assert scene.view.shape == (3, 3, VIEW, VIEW)
    assert scene.mask.shape == scene.pattern.shape == (3, 1, VIEW, VIEW)
    assert scene.bits.shape == (3, 32) and set(scene.bits.unique().tolist()) <= {0, 1}
    assert float(scene.view.min()) >= 0 and float(scene.view.max()) <= 1
    assert set(scene.mask.unique().tolist()) <= {0.0, 1.0}
    assert float(scene.pattern.square().mean()) == pytest.approx(1.0, abs=0.1)


def test_the_same_generator_state_is_the_same_scene(carrier: Carrier) -> None:
    content = flat_content(2)
    gain = Embedder()(content).detach()
    first, second, other = (
        make_scene(content, gain, carrier, Difficulty(0.5), np.random.default_rng(seed)) for seed in (5, 5, 6)
    )
    assert torch.equal(first.view, second.view) and torch.equal(first.bits, second.bits)
    assert not torch.equal(first.view, other.view)


def test_gradients_reach_the_gain_through_the_scene(carrier: Carrier) -> None:
    content = flat_content(2)
    gain = Embedder()(content).detach().requires_grad_()
    scene = make_scene(content, gain, carrier, Difficulty(0.5), np.random.default_rng(0))
    scene.view.square().sum().backward()
    assert gain.grad is not None and bool(torch.isfinite(gain.grad).all()) and float(gain.grad.abs().sum()) > 0
