"""Many inputs by several processes."""

from __future__ import annotations

import multiprocessing
import os
from contextlib import closing

import pytest
import torch

from wam.bench.parallel import map_forked

pytestmark = pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="needs a system that forks"
)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_order(workers: int) -> None:
    found = map_forked(lambda shared, given: shared["offset"] + given, {"offset": 100}, range(20), workers=workers)
    assert list(found) == list(range(100, 120))


def test_what_is_shared_need_not_be_picklable() -> None:
    assert list(map_forked(lambda shared, given: shared(given), lambda n: n * n, [2, 3], workers=2)) == [4, 9]


def test_one_worker_is_this_process_and_several_are_others_in_one_thread() -> None:
    def seen(_: None, given: int) -> tuple[int, int]:
        return os.getpid(), torch.get_num_threads()

    assert set(map_forked(seen, None, range(3), workers=1)) == {(os.getpid(), 1)}
    others = set(map_forked(seen, None, range(8), workers=2))
    assert {threads for _, threads in others} == {1} and os.getpid() not in {process for process, _ in others}


def test_runs_that_end_early_leave_nothing_to_the_next() -> None:
    with closing(map_forked(lambda shared, given: shared, "first", range(100), workers=2)) as results:
        assert next(results) == "first"
    assert next(map_forked(lambda shared, given: shared, "second", range(2), workers=2)) == "second"
    assert multiprocessing.active_children() == []


def test_an_error_in_a_worker_is_raised_here() -> None:
    with pytest.raises(ZeroDivisionError):
        list(map_forked(lambda shared, given: 1 // given, None, [1, 0], workers=2))
