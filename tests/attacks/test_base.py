"""What all attacks share."""

from __future__ import annotations

import torch

from attacks.base import straight_through


def test_straight_through_passes_values_forward_and_gradients_back() -> None:
    images = torch.rand(2, 3, 4, 4, requires_grad=True)
    changed = straight_through(images, images.round())
    assert torch.equal(changed, images.detach().round())
    (gradient,) = torch.autograd.grad((changed * 3).sum(), images)
    assert torch.equal(gradient, torch.full_like(gradient, 3.0))
