"""Random fields that depend on nothing but their number."""

import torch

from attacks import noise

SEEDS = torch.tensor([0.1, 0.7], dtype=torch.float64)


def test_white_is_standard_normal() -> None:
    field = noise.white(SEEDS, (3, 100, 100))
    assert abs(field.mean().item()) < 0.01
    assert abs(field.std().item() - 1) < 0.01


def test_a_field_does_not_depend_on_its_batch() -> None:
    pair = noise.texture(SEEDS, (20, 30))
    assert torch.allclose(pair[1:], noise.texture(SEEDS[1:], (20, 30)), atol=1e-6)
    assert not torch.allclose(pair[0], pair[1], atol=0.1)


def test_blobs_keep_their_place_at_another_size() -> None:
    small, large = (noise.smooth(SEEDS, size) for size in ((20, 30), (40, 60)))
    assert torch.allclose(torch.nn.functional.avg_pool2d(large, 2), small, atol=0.1)


def test_texture_has_contrast_in_range() -> None:
    field = noise.texture(SEEDS, (64, 64))
    assert field.min() >= 0 and field.max() <= 1
    assert field.std() > 0.1
