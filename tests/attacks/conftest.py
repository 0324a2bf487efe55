"""Small pictures for the tests of the attacks."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Small pictures are faster on one thread, and other work keeps its core."""
    torch.set_num_threads(1)


@pytest.fixture
def photos() -> Tensor:
    """Two pictures of smooth and fine parts, grey and pure colour, (2, 3, 48, 64), 8-bit values."""
    generator = torch.Generator().manual_seed(7)
    smooth = F.interpolate(torch.rand(2, 3, 5, 7, generator=generator), (48, 64), mode="bicubic")
    values = 0.8 * smooth + 0.2 * torch.rand(2, 3, 48, 64, generator=generator)
    values[:, :, :4, :4] = 0.5
    values[:, :, 4:8, :4] = torch.tensor([1.0, 0.0, 0.0])[:, None, None]
    values[:, :, 8:12, :4] = 0.0
    return (values.clamp(0, 1) * 255).round() / 255
