"""Signs that a lens out of focus or a negative turned over, put right."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from wam.detection.phase_reversal import NEGATIVE, REVERSALS, Reversal
from wam.signal.specification import TILE
from wam.watermarker import Watermarker, to_batch

BITS = "0110" * 8


def out_of_focus(image: torch.Tensor, radius: float) -> torch.Tensor:
    """(1, 3, H, W) under a disc of a radius in pixels, 8-bit values."""
    reach = int(radius) + 1
    away = torch.arange(-reach, reach + 1).float()
    disc = (radius + 0.5 - torch.hypot(away[:, None], away)).clamp(0, 1)
    kernel = (disc / disc.sum()).expand(3, 1, -1, -1)
    return (F.conv2d(F.pad(image, (reach,) * 4, mode="reflect"), kernel, groups=3).clamp(0, 1) * 255).round() / 255


@pytest.mark.parametrize("reversal", REVERSALS, ids=str)
@pytest.mark.parametrize("scale", [1.0, 1.25])
def test_what_was_reversed_is_undone(reversal: Reversal, scale: float) -> None:
    size, place = (96, 130), torch.arange(130) + 0.5
    pattern, reversed_one = torch.zeros(size), torch.zeros(size)
    for cycles in (3.4, 6.6, 9.3):  # on whole frequencies of the map
        number = round(cycles * 130 / (TILE * scale))
        wave = torch.cos(2 * torch.pi * number * place / 130 + cycles).expand(size)
        distance = torch.tensor(number / 130 * TILE * scale)
        pattern = pattern + wave
        reversed_one = reversed_one + wave * reversal.signs(distance)
    assert torch.allclose(reversal.undone(reversed_one, scale), pattern, atol=1e-4)
    assert reversal.negative == (reversal == NEGATIVE)


@pytest.mark.parametrize(("radius", "changes"), [(2.8, ("from 7", "from 6", "from 8")), (4.0, ("from 5", "from 6"))])
def test_a_picture_out_of_focus_is_read(
    shipped: Watermarker, dune: Image.Image, radius: float, changes: tuple[str, ...]
) -> None:
    photo = dune.resize((384, 256), Image.Resampling.LANCZOS)
    blurred = out_of_focus(to_batch(np.asarray(shipped.embed(photo, BITS).image)), radius)
    (found,) = shipped.detect(blurred)
    assert sum(a != b for a, b in zip(found.bits, BITS, strict=True)) <= 3
    assert any(f"contrast reversed {change} cycles" in found.how for change in changes), found.how
    assert not found.pose.negative and found.pose.out_of_focus
    assert shipped.detect(out_of_focus(to_batch(np.asarray(photo)), radius)) == []
