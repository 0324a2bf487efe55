"""Fills of images whose right answer is known."""

import torch
from torch import Tensor

from attacks.filling import diffuse


def hole(size: int = 40) -> Tensor:
    known = torch.ones(1, 1, size, size)
    known[:, :, 12:28, 10:30] = 0
    return known


def test_a_plain_colour_stays() -> None:
    plain = torch.tensor([0.1, 0.5, 0.9]).reshape(1, 3, 1, 1).expand(1, 3, 40, 40)
    filled = diffuse(torch.where(hole() > 0, plain, 0.0), hole())
    assert torch.allclose(filled, plain, atol=1e-5)


def test_a_ramp_is_continued() -> None:
    """A ramp solves the heat equation, so it is what an ideal fill gives."""
    ramp = torch.linspace(0, 1, 40).expand(1, 3, 40, 40)
    filled = diffuse(torch.where(hole() > 0, ramp, 0.0), hole())
    assert (filled - ramp).abs().max() < 0.01


def test_hidden_pixels_do_not_show(photos: Tensor) -> None:
    known = (torch.rand(2, 1, 48, 64, generator=torch.Generator().manual_seed(0)) > 0.6).float()
    first = diffuse(photos, known)
    second = diffuse(torch.where(known > 0, photos, 1 - photos), known)
    assert torch.allclose(first, second, atol=1e-6)


def test_odd_and_thin_images_are_filled() -> None:
    images = torch.full((1, 3, 1, 7), 0.5)
    known = torch.tensor([1.0, 0, 0, 0, 0, 0, 1]).reshape(1, 1, 1, 7)
    assert torch.allclose(diffuse(images * known, known), images)
