"""Meta's JND: published values, an independent calculation, and what its quirks mean."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from tests.wam.models.meta.meta_weights import slopes
from wam.models.meta.jnd import JND
from wam.models.meta.model import DEVIATION, SCALING


@pytest.mark.parametrize(
    ("grey", "levels"),
    [(0, 7.6), (32, 3.8), (64, 2.2), (100, 0.86), (127, 0.0), (128, 1.36), (200, 2.1), (255, 2.7)],
)
def test_the_most_that_flat_grey_changes_is_as_published(grey: int, levels: float) -> None:
    """Levels of blue at a saturated residual, as measured on Meta's own module."""
    hidden = JND()(torch.full((1, 3, 16, 16), grey / 255))[0, :, 8, 8] * 255
    assert SCALING * DEVIATION[2] * float(hidden[2]) == pytest.approx(levels, abs=0.05)
    torch.testing.assert_close(hidden[:2], hidden[2].expand(2) / 2)


def test_an_independent_calculation_agrees() -> None:
    picture = slopes(40, 56)
    levels = np.tensordot([0.299, 0.587, 0.114], picture[0].double().numpy() * 255, axes=1)
    ring = np.ones((5, 5))
    ring[1:4, 1:4] = 2
    ring[2, 2] = 0
    surround = ndimage.correlate(levels, ring / 32, mode="constant")
    adaptation = np.where(surround <= 127, 17 * (1 - np.sqrt(surround / 127 + 1e-5)), 3 / 128 * (surround - 127) + 3)
    contrast = np.hypot(ndimage.sobel(levels, 0, mode="constant"), ndimage.sobel(levels, 1, mode="constant"))
    masking = 0.117 * 16 * contrast**2.4 / (contrast**2 + 26**2)
    hidden = np.maximum(adaptation + masking - 0.3 * np.minimum(adaptation, masking), 0) / 255
    expected = torch.from_numpy(np.stack([hidden / 2, hidden / 2, hidden])).float()
    torch.testing.assert_close(JND()(picture)[0], expected, atol=2e-6, rtol=1e-4)


def test_the_border_counts_as_dark() -> None:
    """Zeros around the picture: a white one seems darker at its corners, and edged."""
    hidden = JND()(torch.ones(1, 3, 20, 20))[0, 0]
    assert float(hidden[0, 0]) > 3 * float(hidden[10, 10])
    torch.testing.assert_close(hidden[4:-4, 4:-4], hidden[10, 10].expand(12, 12))


def test_gradients_are_finite_where_nothing_changes() -> None:
    picture = torch.full((1, 3, 8, 8), 0.2, requires_grad=True)
    JND()(picture).sum().backward()
    assert picture.grad is not None and bool(picture.grad.isfinite().all())


def test_the_kernels_are_not_trained() -> None:
    assert not any(weight.requires_grad for weight in JND().parameters())
    assert {key: tuple(weight.shape) for key, weight in JND().state_dict().items()} == {
        "conv_x.weight": (1, 1, 3, 3), "conv_y.weight": (1, 1, 3, 3), "conv_lum.weight": (1, 1, 5, 5),
    }  # fmt: skip
