"""One level: what it yields says for itself how it was found, and what a pose that was given is worth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from tests.wam.synthetic import THRESHOLD, message, pattern_at, posed, smooth_picture, text
from wam.detection.config import DEFAULT_SEARCH, SearchConfig
from wam.detection.level_search import Candidate, LevelSearch, mirrored
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


def level_of(pattern: torch.Tensor, carrier: Carrier, config: SearchConfig = DEFAULT_SEARCH) -> LevelSearch:
    view = to_batch(smooth_picture(*SIZE))
    output = ExtractorOutput(pattern[None, None], torch.zeros(1, 1, *SIZE))
    return LevelSearch(
        view, output, torch.ones(SIZE), carrier, config, threshold=THRESHOLD, repetition=config.pyramid.periodicity
    )


def words_of(candidates: list[Candidate]) -> list[str]:
    return [text((one.cluster.votes > 0).long()) for one in candidates]


def test_each_candidate_says_how_it_was_found_whenever_it_is_asked(carrier: Carrier) -> None:
    everywhere = slice(None)
    turned = posed(25.0, 1.1, offset=(3.0, 9.0))
    pattern = estimate(carrier, (0, UPRIGHT, everywhere, slice(0, 220)), (1, turned, everywhere, slice(240, 480)))
    candidates = list(level_of(pattern, carrier).run(UPRIGHT, limit=8))
    assert words_of(candidates) == [text(message(0)), text(message(1))]
    first, second = (one.how for one in candidates)
    assert first == "expected pose at 480x256"
    assert second.startswith("pose found in ") and second.endswith(" at 480x256")


def test_no_more_than_the_limit(carrier: Carrier) -> None:
    pattern = estimate(carrier, (0, UPRIGHT, slice(None), slice(0, 240)), (1, UPRIGHT, slice(None), slice(240, 480)))
    assert len(list(level_of(pattern, carrier).run(UPRIGHT, limit=1))) == 1
    assert list(level_of(pattern, carrier).run(UPRIGHT, limit=0)) == []


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
            (found,) = level_of(pattern, carrier, used).run(UPRIGHT, limit=1)
            assert way in found.how and words_of([found]) == [text(message(2))]
            scores.append(found.cluster.score)
        np.testing.assert_allclose(scores[0] - scores[1], gained, atol=1e-4)


def _only_given(config: SearchConfig) -> SearchConfig:
    """No pose that is looked into by its evidence is read: what is left are small parts in their old place."""
    return replace(config, level=replace(config.level, read=0))
