"""Synchronisation: poses found in a noisy pattern, and the parts of the way there."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tests.wam.synthetic import THRESHOLD, message, misplacement, noise, pattern_at, posed, text
from wam.detection.config import DEFAULT_SEARCH as SEARCH
from wam.detection.synchronization import (
    at_pose,
    at_pose_by_label,
    folded_coefficients,
    joint_score,
    label_evidence,
    pilot_surface,
    rank_poses,
    synchronise,
)
from wam.signal.demodulation import limited
from wam.signal.label import Label
from wam.signal.pattern import SYMMETRIES, Carrier
from wam.signal.pose import Pose
from wam.signal.specification import TILE

SIZE = (192, 224)
EVIDENCE = SEARCH.synchronization


def read(votes: torch.Tensor) -> str:
    return text((votes > 0).long())


@pytest.mark.parametrize(
    ("angle", "scale", "flipped", "offset"),
    [
        (0.0, 1.0, False, (0.0, 0.0)),
        (0.0, 1.0, False, (13.3, 6.7)),
        (90.0, 1.0, False, (5.0, 0.0)),
        (180.0, 1.2, True, (0.0, 9.0)),
        (10.0, 0.8, False, (20.0, 1.0)),
        (-137.0, 1.35, False, (2.0, 30.0)),
        (45.0, 1.1, True, (7.0, 7.0)),
        (-72.5, 0.7, True, (0.5, 11.0)),
    ],
)
def test_finds_turn_mirror_scale_and_shift(
    carrier: Carrier, angle: float, scale: float, flipped: bool, offset: tuple[float, float]
) -> None:
    true = posed(angle, scale, flipped=flipped, offset=offset)
    field = 0.5 * pattern_at(carrier, message(0), true, SIZE) + noise(SIZE)
    best = synchronise(field, torch.ones(SIZE), carrier, SEARCH)[0]
    assert best.score > THRESHOLD
    assert misplacement(best.pose, true, SIZE) < 1.0
    assert read(best.bit_votes) == text(message(0))


def test_takes_up_aspect_and_shear(carrier: Carrier) -> None:
    matrix = torch.tensor([[1.0, 0.03], [-0.02, 0.8]])
    true = Pose(matrix, torch.tensor([4.0, 8.0]))
    field = pattern_at(carrier, message(1), true, SIZE) + noise(SIZE)
    best = synchronise(field, torch.ones(SIZE), carrier, SEARCH)[0]
    assert misplacement(best.pose, true, SIZE) < 1.0


def test_only_the_weighted_part_counts(carrier: Carrier) -> None:
    true = posed(25.0, 1.0)
    weight = torch.zeros(SIZE)
    weight[:, :130] = 1
    field = torch.where(weight > 0, pattern_at(carrier, message(2), true, SIZE), 30 * noise(SIZE, seed=1))
    best = synchronise(field * weight, weight, carrier, SEARCH)[0]
    assert read(best.bit_votes) == text(message(2))


@pytest.mark.parametrize("seed", range(3))
def test_noise_scores_below_the_threshold(carrier: Carrier, seed: int) -> None:
    assert synchronise(noise(SIZE, seed=seed), None, carrier, SEARCH) == []  # no lattice stands out
    candidates = synchronise(noise(SIZE, seed=seed), None, carrier, SEARCH, thorough=True)
    scores = [candidate.score for candidate in candidates]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] < THRESHOLD - 5


def test_nothing_is_synchronised_with_nothing(carrier: Carrier) -> None:
    assert synchronise(torch.zeros(SIZE), torch.ones(SIZE), carrier, SEARCH) == []


@pytest.mark.parametrize("turn", range(8))
def test_each_symmetry_of_a_lattice_is_told_apart(carrier: Carrier, turn: int) -> None:
    true = Pose(SYMMETRIES[turn], torch.tensor([-3.0, -5.5]))
    field = pattern_at(carrier, message(4), true, (128, 128))
    best = rank_poses(field[None], torch.eye(2)[None, None] * TILE, carrier, EVIDENCE).of(0)[0]
    torch.testing.assert_close(best.pose.matrix, true.matrix)
    assert misplacement(best.pose, true, (128, 128)) < 0.1


def test_regions_are_ranked_alike_alone_and_together(carrier: Carrier) -> None:
    poses = (posed(12.0, 1.0), posed(33.0, 0.9, offset=(4.0, 1.0)), posed(-70.0, 1.3))
    fields = torch.stack([pattern_at(carrier, message(n), pose, SIZE) + noise(SIZE) for n, pose in enumerate(poses)])
    lattices = torch.stack([torch.linalg.inv(pose.matrix) * TILE for pose in poses])[:, None]
    together = rank_poses(fields, lattices, carrier, EVIDENCE)
    for number in range(3):
        alone = rank_poses(fields[number : number + 1], lattices[number : number + 1], carrier, EVIDENCE).of(0)
        found = together.of(number)
        np.testing.assert_allclose([one.score for one in found], [one.score for one in alone], rtol=1e-4)
        assert read(found[0].bit_votes) == text(message(number))


def test_folded_coefficients_are_the_projection(carrier: Carrier) -> None:
    """But for the cells, which cost 5% of the length at most where the field is the pattern itself."""
    pose = posed(17.0, 1.05)
    field = pattern_at(carrier, message(3), pose, SIZE)
    folded = folded_coefficients(field[None], pose.matrix[None, None], carrier, cells=EVIDENCE.cells)[0, 0]
    exact = carrier.project(field[None], pose.matrix[None], torch.zeros(1, 2))[0]
    turned = torch.view_as_complex(exact) * torch.polar(torch.ones_like(carrier.phases), carrier.phases)
    difference = (torch.view_as_complex(folded) - turned).norm() / turned.norm()
    assert float(difference) < 0.05


def test_evidence_at_the_true_pose(carrier: Carrier) -> None:
    true = posed(12.0, 1.0, offset=(1.0, 2.0))
    found = at_pose(pattern_at(carrier, message(7), true, SIZE), true, carrier, EVIDENCE)
    assert found.pose is true
    assert read(found.bit_votes) == text(message(7))
    assert found.pilot > 5.5
    assert found.score > 60


def votes_of(carrier: Carrier, angle: float) -> torch.Tensor:
    """Every coefficient 1 at one phase angle."""
    value = torch.polar(torch.tensor(1.0), torch.tensor(angle))
    return torch.view_as_real(value).expand(len(carrier.owner), 2)


def likelihood(bit: float, amplitude: float) -> float:
    """Of 30 pilot votes of 1 and 32 bits of four votes that sum to ``bit``, spread .5: as the docstring says it."""
    pilot = 30 * (amplitude / 0.5 - amplitude**2 / (2 * 0.5))
    return pilot + 32 * (math.log(math.cosh(amplitude * bit / 0.5)) - 4 * amplitude**2 / (2 * 0.5))


def test_joint_score_of_perfect_votes_is_their_log_likelihood_ratio(carrier: Carrier) -> None:
    score, bits = joint_score(votes_of(carrier, 0.0), carrier, EVIDENCE)
    assert float(score) == pytest.approx(max(likelihood(4.0, amplitude) for amplitude in EVIDENCE.amplitudes), abs=1e-3)
    assert bits.tolist() == [4.0] * 32


def test_joint_score_of_quadrature_is_nothing(carrier: Carrier) -> None:
    score, bits = joint_score(votes_of(carrier, np.pi / 2), carrier, EVIDENCE)
    assert -1 < float(score) < 0
    assert float(bits.abs().max()) < 1e-5


def test_bits_with_a_pilot_that_is_turned_over_are_no_mark(carrier: Carrier) -> None:
    score, _ = joint_score(-votes_of(carrier, 0.0), carrier, EVIDENCE)
    assert float(score) == 0.0


def test_a_pilot_without_bits_is_no_mark(carrier: Carrier) -> None:
    votes = votes_of(carrier, 0.0).clone()
    turns = torch.tensor([0.0, np.pi / 2, np.pi, -np.pi / 2])
    for bit in range(32):  # the four votes of each bit cancel
        votes[carrier.owner == bit] = torch.stack([turns.cos(), turns.sin()], dim=1).float()
    full = joint_score(votes_of(carrier, 0.0), carrier, EVIDENCE)[0]
    assert float(joint_score(votes, carrier, EVIDENCE)[0]) < 0.1 * float(full)


def test_a_message_that_does_not_fit_has_less_evidence(carrier: Carrier) -> None:
    votes = votes_of(carrier, 0.0)
    fits, wrong = torch.ones(32), torch.ones(32)
    wrong[:8] = -1
    any_signs, right, off = (
        float(score)
        for score in (
            joint_score(votes, carrier, EVIDENCE)[0],
            joint_score(votes, carrier, EVIDENCE, message=fits)[0],
            joint_score(votes, carrier, EVIDENCE, message=wrong)[0],
        )
    )
    assert any_signs == pytest.approx(right)
    assert off < right - 20


def test_one_huge_coefficient_has_one_vote() -> None:
    coefficients = torch.ones(9, 2)
    coefficients[4] *= 1e6
    votes = limited(coefficients).norm(dim=-1)
    assert votes.tolist() == pytest.approx([0.5] * 4 + [1.0] + [0.5] * 4, abs=1e-5)
    torch.testing.assert_close(limited(coefficients * 100), limited(coefficients))


def test_pilot_surface_peaks_at_the_shift(carrier: Carrier) -> None:
    shifted = Pose(torch.eye(2), torch.tensor([-6.0, -17.5]))
    field = pattern_at(carrier, message(8), shifted, (96, 96))
    votes = limited(carrier.project(field[None], torch.eye(2)[None], torch.zeros(1, 2)))
    surface = pilot_surface(votes, carrier, shifts=EVIDENCE.shifts)[0].view(EVIDENCE.shifts, EVIDENCE.shifts)
    row, column = divmod(int(surface.argmax()), EVIDENCE.shifts)
    assert (column * TILE / EVIDENCE.shifts, row * TILE / EVIDENCE.shifts) == (6.0, 17.5)


def labels(count: int) -> tuple[Label, ...]:
    return tuple(Label(0xFEED_BEEF, generation) for generation in range(count))


@pytest.mark.parametrize("count", [1, 5, 600])  # every shift under every label, and by the public half first
@pytest.mark.parametrize("angle", [0.0, -112.0])
def test_a_mark_is_found_under_its_label_among_others(count: int, angle: float) -> None:
    reader = Carrier.from_key(labels=labels(count))
    own, true = count // 2, posed(angle, 1.1, offset=(6.0, 17.0))
    marking = Carrier.from_key().with_label(reader.labels[own])
    field = 0.5 * pattern_at(marking, message(0), true, SIZE) + noise(SIZE)
    best = synchronise(field, torch.ones(SIZE), reader, SEARCH)[0]
    assert best.label == 1 + own and best.score > THRESHOLD
    assert misplacement(best.pose, true, SIZE) < 1.0
    assert read(best.bit_votes) == text(message(0))


@pytest.mark.parametrize("count", [1, 600])
def test_a_mark_without_a_label_is_read_as_before_beside_labels(carrier: Carrier, count: int) -> None:
    true = posed(30.0, 0.9, offset=(3.0, 8.0))
    field = 0.5 * pattern_at(carrier, message(1), true, SIZE) + noise(SIZE)
    best = synchronise(field, torch.ones(SIZE), Carrier.from_key(labels=labels(count)), SEARCH)[0]
    alone = synchronise(field, torch.ones(SIZE), carrier, SEARCH)[0]
    assert best.label == 0 and best.score == pytest.approx(alone.score, rel=1e-3)
    assert read(best.bit_votes) == text(message(1))


def test_the_label_at_a_given_pose_is_the_best_of_many() -> None:
    reader = Carrier.from_key(labels=labels(300))
    marking = reader.read_as(200)
    pose = Pose.upright(1.0)
    field = 0.4 * pattern_at(marking, message(2), pose, SIZE) + noise(SIZE)
    none, best = at_pose_by_label(field, pose, reader, EVIDENCE)
    assert (none.label, best.label) == (0, 200) and best.score > THRESHOLD > none.score
    assert best.score == pytest.approx(at_pose(field, pose, marking, EVIDENCE).score, rel=1e-3)


def test_a_mark_of_a_label_that_is_not_known_shows_half_of_itself() -> None:
    marking = Carrier.from_key().with_label(Label(0xABCD, 1))
    field = 0.5 * pattern_at(marking, message(0), posed(0.0, 1.0), SIZE) + noise(SIZE)
    own = synchronise(field, torch.ones(SIZE), Carrier.from_key(labels=[Label(0xABCD, 1)]), SEARCH)[0]
    for count in (0, 3, 600):
        found = synchronise(field, torch.ones(SIZE), Carrier.from_key(labels=labels(count)), SEARCH)
        assert max(one.score for one in found) < 0.6 * own.score


def labelled_votes(marking: Carrier, reading: Carrier, *, level: float, seed: int) -> torch.Tensor:
    """Votes of 200 readings of one message in noise at its pose, as the carrier of another label may see it."""
    generator = torch.Generator().manual_seed(seed)
    true = level * torch.view_as_real(torch.polar(marking.signs(message(seed))[0], marking.phases - reading.phases))
    return limited(true + torch.randn(200, *true.shape, generator=generator))


@pytest.mark.parametrize("level", [1.0, 1.5, 3.0])
@pytest.mark.parametrize("own", [None, Label(0xABCD, 1)])
def test_the_labelled_half_speaks_for_the_label_of_a_mark_and_against_others(
    carrier: Carrier, own: Label | None, level: float
) -> None:
    reading, other = carrier.with_label(own), carrier.with_label(Label(0xABCD, 2))
    right = label_evidence(labelled_votes(reading, reading, level=level, seed=1), reading, EVIDENCE)
    wrong = label_evidence(labelled_votes(other, reading, level=level, seed=2), reading, EVIDENCE)
    assert float(right.min()) > 0 > float(wrong.median())
    assert float(right.median()) > 15 * level and float(wrong.median()) < -8 * level


def test_noise_says_little_about_labels(carrier: Carrier) -> None:
    found = label_evidence(labelled_votes(carrier, carrier, level=0.0, seed=3), carrier, EVIDENCE)
    assert float(found.abs().median()) < 3


@pytest.mark.parametrize("count", [1, 64])
def test_chance_bounds_how_often_a_foreign_mark_passes_for_one_of_many_labels(carrier: Carrier, count: int) -> None:
    """An evidence of x nats for the best of L labels has a chance of L exp(-x) at most."""
    reader = carrier.knowing(labels(count))
    votes = labelled_votes(carrier.with_label(Label(0xABCD)), carrier, level=1.0, seed=4)
    turns = torch.polar(torch.ones_like(reader.leads), -reader.leads)[1:]
    turned = torch.view_as_real(torch.view_as_complex(votes.contiguous())[:, None] * turns)
    best = label_evidence(turned, reader, EVIDENCE).amax(1)
    for bound in (3.0, 6.0, 9.0):
        expected = min(1.0, count * math.exp(-bound))
        assert float((best >= bound).float().mean()) <= expected + 2 * math.sqrt(expected / len(best))
