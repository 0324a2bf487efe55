"""The extractor network: shapes, precision and the residual it starts from."""

from __future__ import annotations

import pytest
import torch

from wam.networks.extractor import Extractor, normalised_residual


@pytest.fixture(scope="module")
def tiny() -> Extractor:
    torch.manual_seed(0)
    return Extractor(channels=8, blocks=1).eval()


def rand(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("size", [(64, 48), (33, 50), (3, 7)])
def test_maps_have_the_size_of_the_picture(tiny: Extractor, size: tuple[int, int]) -> None:
    output = tiny(rand(2, 3, *size))
    assert output.pattern.shape == output.mask_logits.shape == (2, 1, *size)


def test_a_batch_is_its_pictures(tiny: Extractor) -> None:
    images = rand(2, 3, 32, 40)
    torch.testing.assert_close(tiny(images).pattern[1:], tiny(images[1:]).pattern, atol=1e-5, rtol=1e-4)


def test_maps_are_float32_under_autocast(tiny: Extractor) -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = tiny(rand(1, 3, 32, 32))
    assert output.pattern.dtype == output.mask_logits.dtype == torch.float32
    torch.testing.assert_close(output.pattern, tiny(rand(1, 3, 32, 32)).pattern, atol=0.03, rtol=0.1)


def test_gradients_reach_picture_and_weights(tiny: Extractor) -> None:
    images = rand(1, 3, 32, 32).requires_grad_()
    tiny(images).pattern.square().sum().backward()
    assert images.grad is not None and float(images.grad.abs().max()) > 0
    assert tiny.stem.weight.grad is not None and float(tiny.stem.weight.grad.abs().max()) > 0


def test_padding_does_not_move_the_maps(tiny: Extractor) -> None:
    """A picture whose sides are no multiple of the stride lines up with the larger one it was cut from."""
    images = rand(1, 3, 64, 64)
    cropped = tiny(images[..., :61, :62]).pattern
    torch.testing.assert_close(cropped[..., :32, :32], tiny(images).pattern[..., :32, :32], atol=1e-5, rtol=1e-4)


def test_residual_of_a_flat_picture_is_nothing() -> None:
    assert float(normalised_residual(torch.full((1, 3, 20, 20), 0.4)).abs().max()) < 1e-3


def test_residual_ignores_brightness() -> None:
    images = rand(1, 3, 20, 20) * 0.5
    torch.testing.assert_close(normalised_residual(images + 0.3), normalised_residual(images), atol=1e-3, rtol=0)


def test_residual_is_limited() -> None:
    spike = torch.zeros(1, 3, 41, 41)
    spike[..., 20, 20] = 1
    assert float(normalised_residual(spike).max()) == 3.0
