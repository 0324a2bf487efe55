"""Screens and print."""

import torch
from torch import Tensor

from attacks import parse


def test_a_screen_s_pixel_is_three_stripes() -> None:
    white = torch.full((1, 3, 2, 2), 0.5)
    found = parse("subpixels")(white).images
    assert found.shape == (1, 3, 6, 6)
    assert found[0, :, 0, :3].argmax(dim=0).tolist() == [0, 1, 2]
    assert torch.allclose(found[0, :, 0, 0], found[0, :, 5, 3])


def test_dots_keep_the_mean_and_have_two_levels_of_ink(photos: Tensor) -> None:
    grey = torch.full((1, 3, 96, 96), 0.3)
    found = parse("halftone=6")(grey).images
    assert abs(float(found.mean()) - 0.3) < 0.02
    inside = ((found < 0.05) | (found > 0.95)).float().mean()
    assert inside > 0.4
    assert found.std() > 0.3
    assert torch.equal(parse("halftone=6")(torch.ones(1, 3, 16, 16)).images, torch.ones(1, 3, 16, 16))


def test_smaller_dots_show_finer_detail(photos: Tensor) -> None:
    def error(cell: str) -> float:
        found = parse(f"halftone={cell},gaussian_blur=5")(photos).images
        return float((found - parse("gaussian_blur=5")(photos).images).abs().mean())

    assert error("1.5") < error("6")
