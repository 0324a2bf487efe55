"""Regions: the distinct messages at one pose, told apart, joined and counted."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from tests.wam.synthetic import THRESHOLD, message, noise, pattern_at, posed, text
from wam.detection.config import DEFAULT_SEARCH as SEARCH
from wam.detection.localization import Ground
from wam.detection.message_clustering import (
    Cluster,
    Reading,
    local_votes,
    reads_alike,
    split_messages,
    stands_beside,
)
from wam.signal.demodulation import block_votes
from wam.signal.pattern import Carrier

SIZE = (192, 288)
POSE = posed(5.0, 1.0, offset=(3.0, 7.0))


def field_of(carrier: Carrier, *seeds: int | None, level: float = 0.6) -> torch.Tensor:
    """Messages side by side in upright stripes of equal width, None for a stripe without, in unit noise."""
    width = SIZE[1] // len(seeds)
    field = noise(SIZE, seed=9)
    for index, seed in enumerate(seeds):
        if seed is not None:
            stripe = slice(index * width, (index + 1) * width)
            field[:, stripe] += level * pattern_at(carrier, message(seed), POSE, SIZE)[:, stripe]
    return 0.3 * field  # about the size of a posterior mean


def split(
    field: torch.Tensor, carrier: Carrier, *, available: torch.Tensor | None = None, limit: int = 8
) -> list[Cluster]:
    available = torch.ones(SIZE) if available is None else available
    ground = Ground(torch.zeros(SIZE))
    return split_messages(field, available, lambda: ground, POSE, carrier, SEARCH, threshold=THRESHOLD, limit=limit)


def messages_of(clusters: list[Cluster]) -> set[str]:
    return {text((cluster.votes > 0).long()) for cluster in clusters}


def test_one_message_over_all(carrier: Carrier) -> None:
    (cluster,) = split(field_of(carrier, 0), carrier)
    assert messages_of([cluster]) == {text(message(0))}
    assert float(cluster.mask.float().mean()) > 0.95


def test_two_halves_are_told_apart(carrier: Carrier) -> None:
    clusters = split(field_of(carrier, 0, 1), carrier)
    assert len(clusters) == 2
    assert messages_of(clusters) == {text(message(0)), text(message(1))}
    for cluster in clusters:
        left = text((cluster.votes > 0).long()) == text(message(0))
        own = cluster.mask[:, : SIZE[1] // 2] if left else cluster.mask[:, SIZE[1] // 2 :]
        assert float(own.sum()) > 0.9 * float(cluster.mask.sum())
        assert float(own.float().mean()) > 0.85


def test_three_stripes_are_told_apart(carrier: Carrier) -> None:
    clusters = split(field_of(carrier, 2, 3, 4), carrier)
    assert messages_of(clusters) == {text(message(seed)) for seed in (2, 3, 4)}


def test_masks_do_not_overlap_and_the_strongest_comes_first(carrier: Carrier) -> None:
    clusters = split(field_of(carrier, 0, 1, 1), carrier)
    assert [cluster.score for cluster in clusters] == sorted((cluster.score for cluster in clusters), reverse=True)
    assert int(torch.stack([cluster.mask for cluster in clusters]).sum(0).max()) == 1


def test_parts_that_read_alike_are_one_message(carrier: Carrier) -> None:
    (cluster,) = split(field_of(carrier, 0, None, 0), carrier)
    assert messages_of([cluster]) == {text(message(0))}
    third = SIZE[1] // 3
    outer, middle = cluster.mask.clone(), cluster.mask[:, third : 2 * third]
    outer[:, third : 2 * third] = False
    assert float(outer.sum()) > 0.85 * 2 * third * SIZE[0]
    assert float(middle.float().mean()) < 0.25


@pytest.mark.parametrize("seed", range(3))
def test_pure_noise_has_no_message(carrier: Carrier, seed: int) -> None:
    assert split(0.3 * noise(SIZE, seed=seed), carrier) == []


def test_an_empty_estimate_has_no_message(carrier: Carrier) -> None:
    assert split(torch.zeros(SIZE), carrier) == []


def test_no_more_than_the_limit(carrier: Carrier) -> None:
    assert len(split(field_of(carrier, 0, 1), carrier, limit=1)) == 1
    assert split(field_of(carrier, 0, 1), carrier, limit=0) == []


def test_what_is_taken_is_not_claimed_again(carrier: Carrier) -> None:
    available = torch.ones(SIZE)
    available[:, : SIZE[1] // 2] = 0
    clusters = split(field_of(carrier, 0, 1), carrier, available=available)
    assert messages_of(clusters) == {text(message(1))}
    assert not bool(clusters[0].mask[:, : SIZE[1] // 2].any())


@pytest.mark.parametrize(("wrong", "vote", "alike"), [(0, 3.0, True), (2, 3.0, True), (3, 3.0, False), (6, 0.5, True)])
def test_readings_alike_differ_in_two_clear_bits_at_most(wrong: int, vote: float, alike: bool) -> None:
    one = message(0)[0].float() * 6 - 3
    other = one.clone()
    other[:wrong] = -one[:wrong].sign() * vote
    assert reads_alike(one, other, SEARCH.clustering) is alike
    assert reads_alike(other, one, SEARCH.clustering) is alike


def test_five_small_messages_are_told_apart(carrier: Carrier) -> None:
    field = noise((256, 384), seed=3)
    boxes = [(8, 8), (8, 136), (8, 264), (136, 8), (136, 200)]  # top, left of squares of 10%
    for seed, (top, left) in enumerate(boxes):
        place = (slice(top, top + 100), slice(left, left + 100))
        field[place] += 0.7 * pattern_at(carrier, message(seed), POSE, (256, 384))[place]
    ground, everywhere = Ground(torch.zeros(256, 384)), torch.ones(256, 384)
    clusters = split_messages(
        0.3 * field, everywhere, lambda: ground, POSE, carrier, SEARCH, threshold=THRESHOLD, limit=32
    )
    assert messages_of(clusters) == {text(message(seed)) for seed in range(5)}


def test_a_badly_read_place_is_no_mark_of_its_own(carrier: Carrier) -> None:
    """One corner where only the pilot agrees: its bits are noise, so it must not pass for a second message."""
    field = field_of(carrier, 0)
    pilot_only = carrier.is_pilot.float()[None]
    corner = carrier.render_signs(pilot_only, POSE.matrix[None], POSE.offset[None], SIZE)[0, 0]
    field[:, :96] = 0.3 * (noise(SIZE, seed=4) + 0.6 * corner)[:, :96]
    assert messages_of(split(field, carrier)) == {text(message(0))}


def test_local_votes_are_in_units_of_the_noise(carrier: Carrier) -> None:
    votes = block_votes(noise((256, 256)), POSE, carrier, block=SEARCH.clustering.block)
    local = local_votes(votes, torch.ones_like(votes.energy), 2.5)
    assert local.shape == (33, 32, 32)
    assert float(local.square().mean().sqrt()) == pytest.approx(1.0, abs=0.15)


def test_local_votes_agree_where_the_message_is(carrier: Carrier) -> None:
    votes = block_votes(field_of(carrier, 0, 1), POSE, carrier, block=SEARCH.clustering.block)
    local = local_votes(votes, torch.ones_like(votes.energy), 2.5)[:32, 4:-4]
    signs = message(0)[0].float() * 2 - 1
    agreement = F.cosine_similarity(local, signs[:, None, None], dim=0)
    half = agreement.shape[1] // 2
    assert float(agreement[:, 2 : half - 4].min()) > 0.8
    assert float(agreement[:, half + 4 : -2].max()) < 0.6


def reading(votes: torch.Tensor, score: float, evidence: float) -> Reading:
    """A message whose every bit has that evidence in the window it is judged in."""
    window = torch.stack([votes.sign() * evidence, torch.zeros(32)])
    nothing = torch.zeros(1)
    return Reading(votes, score, nothing, window, nothing, nothing, 0.0)


@pytest.mark.parametrize(
    ("differing", "score", "evidence", "own"),
    [
        (7, 80.0, 1.0, True),  # a neighbour as strong
        (7, 20.0, 1.0, False),  # a shadow of the first
        (7, 20.0, 2.0, True),  # as weak, but sure of the bits in which it differs
        (12, 20.0, 1.0, True),  # two words
        (7, 80.0, 0.5, False),
    ],
)
def test_a_weak_message_that_is_nearly_the_first_has_to_show_more(
    differing: int, score: float, evidence: float, own: bool
) -> None:
    first = 2.0 * torch.ones(32)
    second = first.clone()
    second[:differing] *= -1
    strong, weak = reading(first, 100.0, 3.0), reading(second, score, evidence)
    assert stands_beside(weak, strong, SEARCH.clustering) is own
