"""Which photos and rows a run takes, and how they are dealt to workers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.wam.bench.doubles import photos_in, plan_of
from wam.bench.photos import ImageSet
from wam.bench.plan import MOST_ROWS, Part, Plan
from wam.bench.rows import choose_rows, negative_rows


@pytest.fixture
def images(tmp_path: Path) -> ImageSet:
    return photos_in(tmp_path / "photos", 4, side=48)


def test_every_photo_has_its_quality_and_every_row(images: ImageSet) -> None:
    rows = [key.row for _, key in plan_of(images, "identity,jpeg=80").cells()]
    assert rows == ["quality"] * 4 + ["identity"] * 4 + ["jpeg=80"] * 4


def test_limits(images: ImageSet) -> None:
    part = Part(images, tuple(choose_rows("identity,collage=0.1")), limit=3, costly_limit=2)
    assert [part.count(row) for row in part.rows] == [3, 2]
    assert replace(part, limit=None).count() == 4 and replace(part, limit=9).count() == 4


def test_methods_without_presence_or_keys_skip_what_needs_them(images: ImageSet) -> None:
    plan = plan_of(images, "identity,multi=2,unmarked,wrong_key", limit=1)
    (entrant,) = plan.entrants
    peer = replace(plan, entrants=(replace(entrant, decides=False, keyed=False),))
    keyless = replace(plan, entrants=(replace(entrant, keyed=False),))
    assert [key.row for _, key in peer.cells()] == ["quality", "identity"]
    assert [key.row for _, key in keyless.cells()] == ["quality", "identity", "multi=2", "unmarked"]


def test_negatives_are_not_marked_for_their_quality(images: ImageSet) -> None:
    plan = plan_of(images, "identity")
    plan = Plan(plan.entrants, (Part(images, tuple(negative_rows()), limit=1, negatives=True),), 0)
    assert "quality" not in [key.row for _, key in plan.cells()]


@pytest.mark.parametrize("workers", [1, 7])
def test_tasks_hold_every_open_cell_once(images: ImageSet, workers: int) -> None:
    plan = plan_of(images, "valuemetric")
    keys = [key for _, key in plan.cells()]
    tasks = plan.tasks(set(keys[:10]), workers=workers)
    dealt = [plan.key(task, row.name) for task in tasks for row in task.rows]
    dealt += [plan.key(task, "quality") for task in tasks if task.quality]
    assert sorted(map(str, dealt)) == sorted(map(str, keys[10:]))
    assert max(len(task.rows) for task in tasks) <= MOST_ROWS
    assert len(tasks) >= 2 * workers


def test_keys_tell_runs_apart(images: ImageSet) -> None:
    def first(seed: int, strengths: tuple[float | None, ...] = (None,)) -> object:
        plan = plan_of(images, "identity", seed=seed)
        plan = replace(plan, entrants=(replace(plan.entrants[0], strengths=strengths),))
        return next(plan.cells())[1]

    assert len({first(0), first(1), first(0, (40.0,))}) == 3
