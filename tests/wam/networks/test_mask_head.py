"""The mask head: what it sees does not depend on strength, and its masks have the picture's size."""

from __future__ import annotations

import pytest
import torch

from tests.wam.synthetic import message, noise, pattern_at, posed
from wam.detection.config import DEFAULT_SEARCH
from wam.detection.localization import Ground, message_masks
from wam.networks.extractor import STRIDE
from wam.networks.mask_head import CHANNELS, SURROUNDINGS, MaskHead, cells, evidence, surroundings
from wam.signal.pattern import Carrier

SIZE = (70, 101)
POSE = posed(0.0, 1.0)


def test_cells_are_means() -> None:
    maps = torch.arange(64.0).view(1, 8, 8)
    torch.testing.assert_close(cells(maps)[0, 0, 1], maps[0, :4, 4:8].mean())
    assert cells(torch.zeros(3, *SIZE)).shape == (3, 18, 26)


def test_evidence_does_not_depend_on_strength(carrier: Carrier) -> None:
    made = pattern_at(carrier, message(0), POSE, SIZE)
    pattern = 0.3 * made + noise(SIZE, seed=1)
    weak, strong = evidence(0.1 * pattern, 0.1 * made[None]), evidence(pattern, made[None])
    assert weak.shape == (1, CHANNELS - SURROUNDINGS, 18, 26)
    torch.testing.assert_close(weak, strong, atol=1e-3, rtol=1e-2)


def test_evidence_is_high_where_the_message_is(carrier: Carrier) -> None:
    made = pattern_at(carrier, message(0), POSE, SIZE)
    pattern = 0.1 * noise(SIZE, seed=1)
    pattern[:, :50] += 0.3 * made[:, :50]
    ratio = evidence(pattern, 0.3 * made[None])[0, 3]
    assert float(ratio[:, :10].mean()) > 0.6
    assert float(ratio[:, 16:].mean()) == pytest.approx(0, abs=0.3)


def test_surroundings_have_the_cells_of_the_view() -> None:
    maps = surroundings(torch.rand(1, 3, *SIZE, generator=torch.Generator().manual_seed(0)), torch.zeros(1, 1, *SIZE))
    assert maps.shape == (SURROUNDINGS, 18, 26)
    assert torch.isfinite(maps).all()


def test_masks_of_a_head_have_the_size_of_the_estimate(carrier: Carrier) -> None:
    head = MaskHead().eval()
    pattern = noise(SIZE, seed=3)
    ground = Ground(torch.zeros(SIZE), torch.zeros(SURROUNDINGS, 18, 26), head)
    votes = torch.stack([message(0)[0], message(1)[0]]).float() * 4 - 2
    with torch.no_grad():
        masks = message_masks(pattern, votes, POSE, carrier, ground, DEFAULT_SEARCH)
        maps = torch.cat([evidence(pattern, pattern[None])[0], torch.zeros(SURROUNDINGS, 18, 26)])
        assert head(maps[None]).shape == (1, 18, 26)
    assert masks.shape == (2, *SIZE)
    assert SIZE[0] <= STRIDE * 18
