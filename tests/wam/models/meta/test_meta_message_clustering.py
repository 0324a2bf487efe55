"""Clustering of per-pixel bits: the clusters of DBSCAN, in linear time, and parts of a picture out of them."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.wam.models.meta.meta_weights import painted
from tests.wam.synthetic import message
from wam.models.meta.message_clustering import LEAST, find_centres, pack, split_messages, unpack

SIDE = 256


def boxes(*edges: tuple[int, int]) -> list[Tensor]:
    """Upright strips of 256 x 256 from column to column, (256, 256) bool each."""
    masks = [torch.zeros(SIDE, SIDE, dtype=torch.bool) for _ in edges]
    for mask, (left, right) in zip(masks, edges, strict=True):
        mask[:, left:right] = True
    return masks


def with_errors(logits: Tensor, share: float, *, seed: int = 0) -> Tensor:
    """The same with this share of the bits turned."""
    wrong = torch.rand(logits[1:].shape, generator=torch.Generator().manual_seed(seed)) < share
    return torch.cat([logits[:1], torch.where(wrong, -logits[1:], logits[1:])])


def read(logits: Tensor, **options: int) -> list[list[int]]:
    return [(part.logits > 0).long().tolist() for part in split_messages(logits, **options)]


def test_codes_and_bits() -> None:
    bits = torch.cat([message(seed) for seed in range(5)]) > 0
    assert torch.equal(unpack(pack(bits)), bits)
    assert pack(torch.eye(32, dtype=torch.bool)).tolist() == [2**bit for bit in range(32)]


def dbscan(bits: np.ndarray, least: int) -> set[frozenset[int]]:
    """Core points of each cluster by the definition: quadratic, points compared with points."""
    near = (bits[:, None] != bits[None]).sum(-1) <= 1
    core = near.sum(1) >= least
    clusters, seen = set(), set()
    for start in np.flatnonzero(core):
        if start in seen:
            continue
        members, fresh = set(), {int(start)}
        while fresh:
            members |= fresh
            fresh = {int(j) for i in fresh for j in np.flatnonzero(near[i] & core)} - members
        seen |= members
        clusters.add(frozenset(members))
    return clusters


@pytest.mark.parametrize(("share", "count"), [(0.0, 3), (0.02, 3), (0.05, 2)])
def test_the_clusters_are_those_of_dbscan(share: float, count: int) -> None:
    generator = np.random.default_rng(3)
    clean = np.repeat([message(seed)[0].numpy() for seed in range(3)], (200, 150, 40), axis=0)
    bits = np.where(generator.random(clean.shape) < share, 1 - clean, clean)
    expected = set()
    for cluster in dbscan(bits, 30):
        own = bits[list(cluster)]
        expected.add(tuple(own.mean(0) > 0.5))
    found = {tuple(centre.tolist()) for centre in find_centres(pack(torch.from_numpy(bits)), least=30)}
    assert found == expected
    assert len(found) == count


def test_bits_that_lie_apart_are_told_apart_up_to_two() -> None:
    one = message(0)
    for flips, count in ((2, 1), (3, 2)):
        other = one.clone()
        other[0, :flips] ^= 1
        codes = pack(torch.cat([one.repeat(50, 1), other.repeat(40, 1)]))
        assert len(find_centres(codes, least=30)) == count


def test_three_marks_side_by_side() -> None:
    masks = boxes((0, 80), (80, 150), (180, 230))
    logits = painted(sum(masks).bool(), *[(mask, message(seed)) for seed, mask in enumerate(masks)])
    parts = split_messages(with_errors(logits, 0.03))
    assert [(part.logits > 0).long().tolist() for part in parts] == [message(seed)[0].tolist() for seed in range(3)]
    for part, mask in zip(parts, masks, strict=True):
        assert float((part.mask == mask).float().mean()) > 0.995


def test_a_mark_too_noisy_for_clusters_is_read_as_one() -> None:
    """A fifth of the bits wrong: hardly two pixels agree, but the mean of all is right."""
    logits = with_errors(painted(torch.ones(SIDE, SIDE).bool(), (torch.ones(SIDE, SIDE).bool(), message(0))), 0.2)
    assert len(find_centres(pack((logits[1:].flatten(1) > 0).T), least=LEAST)) == 0
    (part,) = split_messages(logits)
    assert (part.logits > 0).long().tolist() == message(0)[0].tolist()
    assert bool(part.mask.all())


def test_a_little_noise_beside_a_mark_is_no_mark() -> None:
    clean, noisy = boxes((0, 128), (200, 220))
    logits = painted(clean | noisy, (clean, message(0)), (noisy, message(1)))
    logits[1:, noisy] = with_errors(logits, 0.5)[1:, noisy]
    assert read(logits) == [message(0)[0].tolist()]


def test_stray_pixels_follow_their_surroundings() -> None:
    (mask,) = boxes((0, 200))
    logits = painted(mask, (mask, message(0)))
    logits[1:, 100:104, 50:54] *= -1
    (part,) = split_messages(logits)
    assert bool((part.mask == mask).all())


def test_masks_never_overlap() -> None:
    masks = boxes((0, 100), (100, 256))
    logits = with_errors(painted(torch.ones(SIDE, SIDE).bool(), *zip(masks, map(message, (0, 1)), strict=True)), 0.1)
    parts = split_messages(logits)
    assert len(parts) == 2
    assert int(torch.stack([part.mask for part in parts]).sum(0).max()) == 1


@pytest.mark.parametrize("logits", [torch.full((33, SIDE, SIDE), -1.0), torch.zeros(33, SIDE, SIDE)])
def test_nothing_marked_is_nothing(logits: Tensor) -> None:
    assert split_messages(logits) == []


def test_the_smallest_mark() -> None:
    mask = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    mask.flatten()[:LEAST] = True
    assert read(painted(mask, (mask, message(0)))) == [message(0)[0].tolist()]
    mask.flatten()[0] = False
    assert read(painted(mask, (mask, message(0)))) == []


@pytest.mark.parametrize("kind", ["one message", "noise"])
def test_a_picture_marked_all_over_is_one_message(kind: str) -> None:
    """What upstream's clustering hangs on: every pixel marked, all alike or all different."""
    logits = marked_all_over(kind)
    (first,), (again,) = split_messages(logits), split_messages(logits)
    assert torch.equal(first.logits, again.logits) and torch.equal(first.mask, again.mask)


@pytest.mark.slow  # of a clock, which a busy machine may spoil
@pytest.mark.parametrize("kind", ["one message", "noise"])
def test_a_picture_marked_all_over_ends_soon(kind: str) -> None:
    logits = marked_all_over(kind)
    started = time.process_time()
    split_messages(logits)
    assert time.process_time() - started < 5


def marked_all_over(kind: str) -> Tensor:
    """Logits (33, h, w) of pixels that are all marked, with one message or with noise."""
    logits = torch.randn(33, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    logits[0] = 3.0
    if kind == "one message":
        logits[1:] = message(0)[0][:, None, None] * 2.0 - 1
    return logits
