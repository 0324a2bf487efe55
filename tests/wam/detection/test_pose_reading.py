"""Whose label a mark has: the one it was read under where its labelled half bears that out, or a foreign one."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.wam.synthetic import message, noise, pattern_at, posed, smooth_picture, text
from wam.detection.config import DEFAULT_SEARCH
from wam.detection.level_search import Candidate, LevelPlan, search_level
from wam.detection.pose_reading import with_own_label
from wam.detection.sliding_windows import Measured
from wam.detection.view import Tally, Unexplained, View
from wam.networks.extractor import ExtractorOutput
from wam.signal.label import FOREIGN, Label
from wam.signal.pattern import Carrier
from wam.signal.pose import Pose
from wam.watermarker import to_batch

SIZE = (192, 288)
NAMESPACE = 0xFEED_BEEF
THRESHOLD = 13.9  # as the shipped model's: a foreign mark shows half of itself
UPRIGHT = Pose.upright(1.0)


def known(count: int) -> Carrier:
    return Carrier.from_key(labels=[Label(NAMESPACE, generation) for generation in range(count)])


def found_with(
    reader: Carrier, label: Label | None, pose: Pose, *, seed: int = 0, level: float = 0.8
) -> list[Candidate]:
    """What a reader finds of one mark of a label in noise."""
    marking = Carrier.from_key().with_label(label)
    pattern = 0.3 * (noise(SIZE, seed=seed) + level * pattern_at(marking, message(seed), pose, SIZE))
    output = ExtractorOutput(pattern[None, None], torch.zeros(1, 1, *SIZE))
    view = View(to_batch(smooth_picture(*SIZE)), output, reader, THRESHOLD, DEFAULT_SEARCH)
    plan = LevelPlan(expected=UPRIGHT, small_parts=True)
    return list(search_level(view, Unexplained(torch.ones(SIZE)), plan, Tally(), Measured(), limit=4))


@pytest.mark.parametrize("pose", [UPRIGHT, posed(31.0, 1.1, offset=(5.0, 2.0))], ids=["given", "sought"])
@pytest.mark.parametrize("count", [0, 1, 600])
def test_a_mark_without_a_label_is_read_with_all_frequencies(count: int, pose: Pose) -> None:
    (found,) = found_with(known(count), None, pose)
    (alone,) = found_with(known(0), None, pose)
    assert found.label == 0 and found.cluster.evidence > 20
    assert torch.equal(found.cluster.votes, alone.cluster.votes) and found.cluster.score == alone.cluster.score


@pytest.mark.parametrize("pose", [UPRIGHT, posed(31.0, 1.1, offset=(5.0, 2.0))], ids=["given", "sought"])
@pytest.mark.parametrize("count", [2, 600])
def test_a_mark_of_a_label_that_is_known_is_read_under_it(count: int, pose: Pose) -> None:
    (found,) = found_with(known(count), Label(NAMESPACE, count - 1), pose)
    assert found.label == count and found.cluster.evidence > 20
    assert text((found.cluster.votes > 0).long()) == text(message(0))


SOUGHT = posed(31.0, 1.1, offset=(5.0, 2.0))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("count", "pose"), [(0, UPRIGHT), (1, UPRIGHT), (1, SOUGHT), (600, UPRIGHT), (600, SOUGHT)])
def test_a_mark_of_another_label_is_foreign_and_its_public_half_reads(count: int, pose: Pose, seed: int) -> None:
    (own,) = found_with(known(1), Label(NAMESPACE), pose, seed=seed, level=2.0)
    (found,) = found_with(known(count), Label(0xABCD, 7), pose, seed=seed, level=2.0)
    assert found.label == FOREIGN
    assert text((found.cluster.votes > 0).long()) == text(message(seed))
    assert THRESHOLD < found.cluster.score < 0.7 * own.cluster.score  # half of the frequencies, and no more


def test_the_best_of_many_labels_has_to_say_more_than_a_single_one() -> None:
    (found,) = found_with(known(1), Label(NAMESPACE), UPRIGHT)
    faint = replace(found.cluster, evidence=-2.0)

    def judged(count: int, label: int) -> int:
        output = ExtractorOutput(torch.zeros(1, 1, *SIZE), torch.zeros(1, 1, *SIZE))
        view = View(torch.zeros(1, 3, *SIZE), output, known(count), THRESHOLD, DEFAULT_SEARCH)
        read, own = with_own_label(view, faint, UPRIGHT, None, label)
        kept = read if own == label else replace(faint, votes=faint.public_votes, score=faint.public_score)
        assert torch.equal(read.votes, kept.votes) and read.score == kept.score
        return own

    assert [judged(0, 0), judged(1, 1), judged(1024, 0), judged(1024, 1)] == [0, 1, 0, FOREIGN]


@pytest.mark.parametrize("seed", range(3))
def test_the_public_half_adds_no_mark_that_is_not_foreign(seed: int) -> None:
    """Marks without a label that are too faint to be read, and noise, stay unread."""
    for level in (0.0, 0.1, 0.2, 0.3):
        assert all(one.label == 0 for one in found_with(known(0), None, UPRIGHT, seed=seed, level=level))
