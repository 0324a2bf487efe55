"""The just-noticeable difference: known levels on flat pictures, and what textures and edges hide."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from wam.networks.perceptual import BRIGHT, DARK, FLOOR, jnd
from wam.signal.filters import box_max, box_mean, luma


def flat(level: float, *, height: int = 32, width: int = 40) -> Tensor:
    return torch.full((1, 3, height, width), level / 255)


@pytest.mark.parametrize(
    ("level", "extra"), [(0, DARK), (48, DARK / 2), (96, 0), (128, 0), (160, 0), (207.5, BRIGHT / 2), (255, BRIGHT)]
)
def test_flat_pictures_hide_the_floor_and_more_in_dark_and_bright(level: float, extra: float) -> None:
    torch.testing.assert_close(jnd(flat(level)), torch.full((1, 1, 32, 40), FLOOR + extra), atol=2e-3, rtol=0)


def test_texture_hides_more_than_flat_areas() -> None:
    generator = torch.Generator().manual_seed(0)
    grain = torch.randn(1, 1, 32, 40, generator=generator) * 12 / 255
    assert float(jnd(flat(128) + grain).min()) > 2 * FLOOR


def test_the_calm_side_of_an_edge_is_not_given_the_edge() -> None:
    edge = torch.cat([flat(100), flat(150)], dim=3)
    texture = flat(125, width=80).clone()
    texture[..., ::2, ::2] += 25 / 255
    texture[..., 1::2, 1::2] -= 25 / 255
    at_edge, in_texture = jnd(edge) - FLOOR, jnd(texture)[..., 8:-8, 8:-8] - FLOOR
    assert float(at_edge.max()) < 0.6 * float(in_texture.min())
    assert float(at_edge[..., :30].max()) < 0.02  # ten pixels away


def test_only_luma_counts() -> None:
    assert luma(torch.eye(3).view(1, 3, 3, 1))[0, 0, :, 0].tolist() == pytest.approx([0.299, 0.587, 0.114])


def test_a_batch_is_its_pictures() -> None:
    images = torch.rand(2, 3, 24, 31, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(jnd(images), torch.cat([jnd(images[:1]), jnd(images[1:])]))


def test_gradients_reach_the_picture() -> None:
    images = torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(2)).requires_grad_()
    jnd(images).sum().backward()
    assert images.grad is not None and bool(torch.isfinite(images.grad).all()) and float(images.grad.abs().max()) > 0


@pytest.mark.parametrize("size", [3, 5, 7, 9, 33])
def test_box_mean_is_the_mean_of_what_lies_inside(size: int) -> None:
    field = torch.rand(1, 1, 20, 26, generator=torch.Generator().manual_seed(3))
    kernel, half = torch.ones(1, 1, size, size), size // 2
    counts = F.conv2d(torch.ones_like(field), kernel, padding=half)
    torch.testing.assert_close(box_mean(field, size), F.conv2d(field, kernel, padding=half) / counts)


@pytest.mark.parametrize("size", [3, 7, 9])
@pytest.mark.parametrize("shape", [(1, 3, 20, 26), (2, 1, 8, 300), (1, 1, 3, 2)])
def test_box_max_is_the_highest_of_what_lies_inside(size: int, shape: tuple[int, ...]) -> None:
    field = torch.randn(shape, generator=torch.Generator().manual_seed(4))
    assert torch.equal(box_max(field, size), F.max_pool2d(field, size, stride=1, padding=size // 2))
