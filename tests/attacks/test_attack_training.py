"""Degradations for training: the suite's own functions at random strengths."""

import numpy as np
import pytest
import torch
from torch import Tensor

from attacks import parse
from attacks.training import CHOICES, degrade, degrade_batch

BY_NAME = {name: function for name, function, _, _ in CHOICES}


@pytest.mark.parametrize(
    ("name", "strength", "spec"),
    [
        ("jpeg", 62.4, "jpeg=62"),
        ("webp", 71.6, "webp=72"),
        ("median", 4.2, "median=5"),
        ("median", 3.9, "median=3"),
        ("brightness", 1.37, "brightness=1.37"),
        ("contrast", 0.61, "contrast=0.61"),
        ("gamma", 1.21, "gamma=1.21"),
        ("colour", 0.1, "hue=0.1,saturation=1.2"),
        ("grayscale", 0.3, "grayscale"),
        ("sharpness", 2.5, "sharpness=2.5"),
        ("posterize", 4.4, "posterize=4"),
    ],
)
def test_degradations_are_those_of_the_suite(name: str, strength: float, spec: str, photos: Tensor) -> None:
    assert torch.allclose(BY_NAME[name](photos, strength), parse(spec)(photos).images, atol=1e-6)


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: choice[0])
@pytest.mark.parametrize("end", [0, 1])
def test_gradients_reach_the_picture_over_the_whole_range(choice: tuple, end: int, photos: Tensor) -> None:
    _, function, bounds, _ = choice
    images = photos.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(function(images, bounds[end]).square().sum(), images)
    assert gradient.isfinite().all() and (gradient != 0).float().mean() > 0.05


def test_the_same_generators_draw_the_same(photos: Tensor) -> None:
    def drawn(seed: int) -> Tensor:
        torch.manual_seed(seed)
        return torch.stack([degrade(photo, np.random.default_rng(seed + n)) for n, photo in enumerate(photos)])

    assert torch.equal(drawn(1), drawn(1)) and not torch.equal(drawn(1), drawn(2))


def test_only_a_share_is_degraded(photos: Tensor) -> None:
    generator = np.random.default_rng(0)
    assert torch.equal(degrade_batch(photos, generator, share=0.0), photos)
    everything = degrade_batch(photos, generator, share=1.0)
    assert everything.shape == photos.shape and everything.min() >= 0 and everything.max() <= 1
    assert all(not torch.equal(one, photo) for one, photo in zip(everything, photos, strict=True))
