"""One level: what it yields says for itself how it was found, and what a pose that was given is worth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from tests.wam.synthetic import THRESHOLD, message, misplacement, pattern_at, posed, smooth_picture, text
from wam.detection.config import DEFAULT_SEARCH, SearchConfig
from wam.detection.level_search import Candidate, LevelPlan, Refuted, mirrored, search_level
from wam.detection.sliding_windows import Measured
from wam.detection.view import Tally, Unexplained, View
from wam.networks.extractor import ExtractorOutput
from wam.signal.pattern import Carrier
from wam.signal.pose import Pose
from wam.watermarker import to_batch

SIZE = (256, 480)
UPRIGHT = Pose.upright(1.0)


def estimate(carrier: Carrier, *parts: tuple[int, Pose, slice, slice], level: float = 0.6) -> torch.Tensor:
    """What an extractor makes of messages at poses in rows and columns, in noise."""
    field = torch.randn(SIZE, generator=torch.Generator().manual_seed(5))
    for seed, pose, rows, columns in parts:
        field[rows, columns] += level * pattern_at(carrier, message(seed), pose, SIZE)[rows, columns]
    return 0.3 * field


def found_in(
    pattern: torch.Tensor, carrier: Carrier, config: SearchConfig = DEFAULT_SEARCH, *, limit: int = 8
) -> list[Candidate]:
    output = ExtractorOutput(pattern[None, None], torch.zeros(1, 1, *SIZE))
    view = View(to_batch(smooth_picture(*SIZE)), output, carrier, THRESHOLD, config)
    plan = LevelPlan(expected=UPRIGHT, small_parts=True)
    return list(search_level(view, Unexplained(torch.ones(SIZE)), plan, Tally(), Measured(), limit=limit))


def words_of(candidates: list[Candidate]) -> list[str]:
    return [text((one.cluster.votes > 0).long()) for one in candidates]


def test_each_candidate_says_how_it_was_found_whenever_it_is_asked(carrier: Carrier) -> None:
    everywhere = slice(None)
    turned = posed(25.0, 1.1, offset=(3.0, 9.0))
    pattern = estimate(carrier, (0, UPRIGHT, everywhere, slice(0, 220)), (1, turned, everywhere, slice(240, 480)))
    candidates = found_in(pattern, carrier)
    assert words_of(candidates) == [text(message(0)), text(message(1))]
    first, second = (one.how for one in candidates)
    assert first == "expected pose at 480x256"
    assert second.startswith("pose found in ") and second.endswith(" at 480x256")


def test_no_more_than_the_limit(carrier: Carrier) -> None:
    pattern = estimate(carrier, (0, UPRIGHT, slice(None), slice(0, 240)), (1, UPRIGHT, slice(None), slice(240, 480)))
    assert len(found_in(pattern, carrier, limit=1)) == 1
    assert found_in(pattern, carrier, limit=0) == []


def test_a_given_pose_is_ahead_and_one_that_was_sought_is_not(carrier: Carrier) -> None:
    """The expected pose has a head start, upright or mirrored; a pose that was found among thousands has none."""
    modest = replace(DEFAULT_SEARCH, clustering=replace(DEFAULT_SEARCH.clustering, given_pose=0.0))
    ahead = DEFAULT_SEARCH.clustering.given_pose
    small = (slice(60, 200), slice(90, 260))
    for pose, way, gained in (
        (UPRIGHT, "small part in its old place", ahead),
        (mirrored(UPRIGHT, SIZE[1]), "mirrored", ahead),
        (posed(25.0, 1.1, offset=(3.0, 9.0)), "pose found", 0.0),
    ):
        pattern = estimate(carrier, (2, pose, *small), level=1.2)
        scores = []
        for config in (DEFAULT_SEARCH, modest):
            used = _only_given(config) if gained else config
            (found,) = found_in(pattern, carrier, used, limit=1)
            assert way in found.how and words_of([found]) == [text(message(2))]
            scores.append(found.cluster.score)
        np.testing.assert_allclose(scores[0] - scores[1], gained, atol=1e-4)


def _only_given(config: SearchConfig) -> SearchConfig:
    """No pose that is looked into by its evidence is read: what is left are small parts in their old place."""
    return replace(config, level=replace(config.level, read=0))


def test_lattices_without_promise_are_left_out_after_some_windows() -> None:
    refuted = Refuted(2, alike=DEFAULT_SEARCH.lattice.alike)
    facade, other = torch.eye(2) * 24, torch.eye(2) * 31
    refuted.add(facade)
    assert not refuted.holds(facade)
    refuted.add(facade @ torch.tensor([[0.0, -1.0], [1.0, 0.0]]))  # the same points
    assert refuted.holds(facade) and not refuted.holds(other) and not refuted.holds(None)


def test_a_mark_that_was_found_in_a_window_is_followed_beyond_it(carrier: Carrier) -> None:
    """Small ones are read in their surroundings alone, larger ones in all they cover; the whole view shows another."""
    first, turned = posed(-10.0, 1.0), posed(25.0, 1.1, offset=(3.0, 9.0))
    one_each = replace(DEFAULT_SEARCH.level, around=(40,), whole_at_once=0, read=1)
    for rows, columns in ((slice(40, 170), slice(300, 450)), (slice(10, 250), slice(240, 470))):
        pattern = estimate(carrier, (0, first, slice(None), slice(0, 225)), (1, turned, rows, columns), level=1.2)
        found = found_in(pattern, carrier, replace(DEFAULT_SEARCH, level=one_each))
        (second,) = (one for one in found if words_of([one]) == [text(message(1))])
        assert second.how.startswith("pose found in a window") and len(found) == 2
        assert misplacement(second.pose, turned, SIZE) < 1.0
        inside = torch.zeros(SIZE, dtype=torch.bool)
        inside[rows, columns] = True
        union = float((second.cluster.mask | inside).sum())
        assert float((second.cluster.mask & inside).sum()) > 0.75 * union


def test_time_that_is_over_ends_a_level_with_what_was_found(carrier: Carrier) -> None:
    turned = posed(25.0, 1.1, offset=(3.0, 9.0))
    pattern = estimate(carrier, (0, UPRIGHT, slice(None), slice(0, 220)), (1, turned, slice(None), slice(240, 480)))
    output = ExtractorOutput(pattern[None, None], torch.zeros(1, 1, *SIZE))
    view = View(to_batch(smooth_picture(*SIZE)), output, carrier, THRESHOLD, DEFAULT_SEARCH)
    tally = Tally(deadline=0.0)
    plan = LevelPlan(expected=UPRIGHT, small_parts=True)
    found = list(search_level(view, Unexplained(torch.ones(SIZE)), plan, tally, Measured(), limit=8))
    assert words_of(found) == [text(message(0))] and tally.cut_short
