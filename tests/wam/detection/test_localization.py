"""Masks: where a message that has been read lies."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.wam.synthetic import message, noise, pattern_at, posed
from wam.detection.config import DEFAULT_SEARCH as SEARCH
from wam.detection.localization import Ground, flat_energy, message_masks, settle, settled
from wam.signal.pattern import Carrier

SIZE = (192, 256)
LOCALIZATION = SEARCH.localization
TEXTURED = Ground(torch.zeros(SIZE))  # nothing is expected of places that are not flat
POSE = posed(10.0, 1.0, offset=(1.0, 2.0))


def intersection_over_union(mask: Tensor, true: Tensor) -> float:
    return float((mask & true).sum() / (mask | true).sum())


def estimate(carrier: Carrier, true: Tensor, *, correlation: float = 0.4) -> Tensor:
    """What an extractor makes of it: a posterior mean, that is noise where nothing is marked."""
    pattern = correlation * pattern_at(carrier, message(0), POSE, SIZE) * true
    return correlation * (pattern + (1 - correlation**2) ** 0.5 * noise(SIZE))


def mask_of(carrier: Carrier, true: Tensor) -> Tensor:
    signed = message(0).float() * 6 - 3
    return message_masks(estimate(carrier, true), signed, POSE, carrier, TEXTURED, SEARCH)[0] > 0


def rectangle(top: int, left: int, bottom: int, right: int) -> Tensor:
    true = torch.zeros(SIZE, dtype=torch.bool)
    true[top:bottom, left:right] = True
    return true


@pytest.mark.parametrize(
    ("box", "least"), [((30, 40, 160, 220), 0.85), ((0, 0, 192, 128), 0.85), ((60, 80, 130, 160), 0.7)]
)
def test_finds_a_rectangle(carrier: Carrier, box: tuple[int, int, int, int], least: float) -> None:
    true = rectangle(*box)
    assert intersection_over_union(mask_of(carrier, true), true) > least


def test_finds_a_disc(carrier: Carrier) -> None:
    y, x = torch.meshgrid(torch.arange(SIZE[0]), torch.arange(SIZE[1]), indexing="ij")
    true = (y - 100) ** 2 + (x - 120) ** 2 < 70**2
    assert intersection_over_union(mask_of(carrier, true), true) > 0.85


def test_a_picture_marked_everywhere_is_marked_everywhere(carrier: Carrier) -> None:
    assert bool(mask_of(carrier, rectangle(0, 0, *SIZE)).all())


def test_a_picture_not_marked_is_not(carrier: Carrier) -> None:
    assert float(mask_of(carrier, rectangle(0, 0, 0, 0)).float().mean()) < 0.02


def test_each_message_has_its_own_mask(carrier: Carrier) -> None:
    left, right = rectangle(0, 0, 192, 128), rectangle(0, 128, 192, 256)
    field = 0.4 * noise(SIZE)
    for seed, true in ((1, left), (2, right)):
        field += 0.16 * pattern_at(carrier, message(seed), POSE, SIZE) * true
    signed = torch.cat([message(1), message(2)]).float() * 6 - 3
    masks = message_masks(field, signed, POSE, carrier, TEXTURED, SEARCH) > 0
    assert intersection_over_union(masks[0], left) > 0.8
    assert intersection_over_union(masks[1], right) > 0.8


def test_a_flat_place_without_an_estimate_is_not_marked(carrier: Carrier) -> None:
    """There the extractor would have seen a mark; elsewhere, seeing nothing says nothing."""
    true = rectangle(0, 0, 192, 128)
    field = estimate(carrier, rectangle(0, 0, *SIZE)) * true
    signed = message(0).float() * 6 - 3
    flat = LOCALIZATION.flat_energy * (~true).float()
    mask = message_masks(field, signed, POSE, carrier, Ground(flat), SEARCH)[0] > 0
    assert intersection_over_union(mask, true) > 0.85


def test_flat_places_are_those_that_hide_little() -> None:
    view = torch.full((1, 3, 40, 80), 0.5)
    view[..., 40:] += noise((40, 40)) * 6 / 255
    energy = flat_energy(view, LOCALIZATION)
    assert energy.shape == (40, 80)
    assert float(energy[:, :34].min()) == pytest.approx(LOCALIZATION.flat_energy)
    assert float(energy[:, 46:].max()) == 0.0


def test_a_hole_larger_than_the_mark_is_not_filled() -> None:
    logits = torch.full((40, 40), -0.1)
    logits[:, :12] = 1
    settled = settle(logits, torch.where(logits > 0, 0.5, -0.01), torch.ones(40, 40), LOCALIZATION)
    assert torch.equal(settled, logits)


def test_a_hole_without_evidence_is_filled() -> None:
    logits = torch.ones(40, 40)
    logits[10:14, 10:14] = -0.1
    evidence = torch.where(logits > 0, 0.5, -0.01)
    settled = settle(logits, evidence, torch.ones(40, 40), LOCALIZATION)
    assert float(settled[10:14, 10:14].min()) == LOCALIZATION.decided
    assert torch.equal(settled[20:], logits[20:])


def test_a_hole_with_evidence_stays() -> None:
    logits = torch.ones(40, 40)
    logits[5:25, 5:25] = -1
    settled = settle(logits, logits.clone(), torch.ones(40, 40), LOCALIZATION)
    assert torch.equal(settled, logits)


def test_an_island_without_evidence_is_dropped() -> None:
    logits = torch.full((40, 40), -1.0)
    logits[30:33, 30:33] = 0.2
    settled = settle(logits, logits * 0.1, torch.ones(40, 40), LOCALIZATION)
    assert float(settled.max()) < 0


def test_masks_of_a_head_are_settled_one_by_one() -> None:
    """What is unsure beside a side goes with its evidence; an island goes; another message's mask stays its own."""
    logits = torch.full((2, 40, 60), -2.0)
    logits[0, 10:30, 10:50] = 2.0
    logits[0, 30, 10:50], logits[0, 9, 10:50] = 0.4, -0.4
    logits[0, 9, 20:24] = 0.3  # a spot on the border
    logits[0, 2, 2] = 1.0
    logits[1, :, 30:] = 2.0
    first, second = settled(logits, posed(0.0, 1.0), SEARCH.regularization, decided=LOCALIZATION.decided)
    assert float(first[2, 2]) < 0 and bool((first[11:29, 11:49] > 0).all()) and float(first[36, 20]) < 0
    assert bool((first[30, 11:49] > 0).all()) and bool((first[9, 11:49] < 0).all())
    assert torch.equal(second > 0, logits[1] > 0)
