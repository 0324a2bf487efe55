"""Worker processes are real here: killed in the middle, overrunning time and memory, replaced, and the pool goes on."""

from __future__ import annotations

import io
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from payload.registry import Registry
from tests.wam.service.served import DEADLY, HUNGRY, SLEEPY, picture, troubled_marker
from tests.wam.synthetic import handmade_marker, smooth_picture
from wam.errors import ModelError, WamError
from wam.models.convolutions import KEPT, VARIABLES
from wam.service.messages import Message
from wam.service.pool import Pool
from wam.service.setup import Setup
from wam.service.work import Desk
from wam.service.worker import ClosedError, DiedError, Lane, OverrunError
from wam.watermarker import Watermarker

GIB = 1 << 30
DETECT = {
    "do": "detect", "name": "in.png", "overlay": "", "frames": False, "thorough": False, "quick": False, "seconds": 30.0
}  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = str(tmp_path_factory.mktemp("pool") / "registry.sqlite")
    Registry.open(path)
    return path


@pytest.fixture(scope="module")
def pool(place: str) -> Iterator[Pool]:
    """Two workers: the first takes pictures of up to 40,000 pixels only."""
    made = Pool(Setup(troubled_marker, place, 10**6, 10), 2, memory=3 * GIB, short_pixels=40_000, recycle=10**6)
    made.start()
    yield made
    made.close()


def read(pool: Pool, *, width: int = 128, seconds: float = 60, lane: Lane = Lane.SHORT, **more: Any) -> Future[Message]:
    return pool.submit({**DETECT, **more}, picture(size=(128, width)), seconds=seconds, lane=lane)


def wait_for(condition: Callable[[], object], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def is_there(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


def ready(pool: Pool) -> None:
    """Waits until both workers are there: one that was killed leaves the list a moment after its task has failed."""
    wait_for(lambda: len(pool.pids) == 2 and all(map(is_there, pool.pids)))


def test_a_task_is_answered(pool: Pool) -> None:
    said = read(pool).result(60).said
    assert said["state"] == "done" and said["detect"]["watermarks"] == []
    assert pool.model.startswith("handmade@")


def test_what_takes_too_long_is_killed_and_others_go_on(pool: Pool) -> None:
    ready(pool)
    before = set(pool.pids)
    stuck = read(pool, width=SLEEPY, seconds=1.5)
    with pytest.raises(OverrunError) as caught:
        stuck.result(60)
    assert caught.value.of == "time"
    assert read(pool).result(60).said["state"] == "done"  # the other worker, or the new one
    wait_for(lambda: len(pool.pids) == 2 and set(pool.pids) != before)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs a system that says what a process needs")
def test_what_takes_too_much_memory_is_killed(pool: Pool) -> None:
    with pytest.raises(OverrunError) as caught:
        read(pool, width=HUNGRY).result(120)
    assert caught.value.of == "memory"
    assert read(pool).result(60).said["state"] == "done"


def test_a_picture_that_ends_its_readers_is_given_up_after_two(pool: Pool) -> None:
    with pytest.raises(DiedError):
        read(pool, width=DEADLY).result(120)
    assert read(pool).result(60).said["state"] == "done"
    wait_for(lambda: len(pool.pids) == 2)


def test_workers_killed_in_the_middle_lose_nothing(pool: Pool) -> None:
    ready(pool)
    answers = [read(pool) for _ in range(16)]
    for pid in pool.pids:  # each once: what ends two workers is given up
        os.kill(pid, signal.SIGKILL)
        done = sum(map(Future.done, answers))
        # until what was in it has been done by the other one: it is in front of all that wait
        wait_for(lambda done=done: sum(map(Future.done, answers)) >= min(len(answers), done + 4))
    assert [one.result(120).said["state"] for one in answers] == ["done"] * 16


def test_an_idle_worker_that_was_killed_is_replaced(pool: Pool) -> None:
    ready(pool)
    before = pool.pids
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: len(pool.pids) == 2 and not set(before) & set(pool.pids))
    assert read(pool).result(60).said["state"] == "done"


def test_long_searches_never_block_short_ones(pool: Pool) -> None:
    ready(pool)
    long = read(pool, width=SLEEPY, seconds=10, lane=Lane.LONG)
    large = pool.submit(DETECT, picture(size=(256, 256)), seconds=60)  # which the first worker hands on
    assert read(pool).result(60).said["state"] == "done"
    assert not long.done() and not large.done()
    with pytest.raises(OverrunError):
        long.result(60)
    assert large.result(120).said["state"] == "done"


def test_bulk_waits_for_all_others(pool: Pool) -> None:
    ready(pool)
    order: list[str] = []
    blocker = read(pool, width=SLEEPY, seconds=1, lane=Lane.LONG)
    for name, lane in (("bulk", Lane.BULK), ("long", Lane.LONG)):
        read(pool, lane=lane).add_done_callback(lambda _, name=name: order.append(name))
    with pytest.raises(OverrunError):
        blocker.result(60)
    wait_for(lambda: len(order) == 2)
    assert order == ["long", "bulk"]


def test_a_task_that_nobody_waits_for_any_more_is_not_begun(pool: Pool) -> None:
    blocker = read(pool, width=SLEEPY, seconds=1, lane=Lane.LONG)
    time.sleep(0.2)
    given_up = read(pool, lane=Lane.LONG)
    assert given_up.cancel()
    with pytest.raises(OverrunError):
        blocker.result(60)
    assert read(pool, lane=Lane.LONG).result(60).said["state"] == "done" and pool.waiting == 0


def test_a_bomb_is_refused_and_the_worker_stays(pool: Pool) -> None:
    ready(pool)
    before = set(pool.pids)
    said = pool.submit(DETECT, picture(size=(2000, 2000)), seconds=60).result(60).said
    assert said["state"] == "refused" and said["large"]
    assert said["line"] == "in.png: expected at most 1,000,000 pixels, found 2000x2000, use a smaller copy"
    assert set(pool.pids) == before


def test_workers_are_replaced_after_a_while_and_close_ends_what_waits(place: str) -> None:
    pool = Pool(Setup(troubled_marker, place, 10**6, 10), 1, memory=3 * GIB, short_pixels=1, recycle=2)
    pool.start()
    told: list[str] = []
    pool.restarted = told.append
    (first,) = pool.pids
    assert [read(pool).result(60).said["state"] for _ in range(3)] == ["done"] * 3
    assert told == ["recycled"] and first not in pool.pids
    stuck, waiting = read(pool, width=SLEEPY, seconds=600), read(pool)
    wait_for(lambda: pool.waiting == 1)
    (last,) = pool.pids
    begun = time.monotonic()
    pool.close()
    assert time.monotonic() - begun < 20
    for one in (stuck, waiting, read(pool)):
        with pytest.raises(ClosedError):
            one.result(1)
    with pytest.raises(ProcessLookupError):
        os.kill(last, 0)


def test_what_waits_is_read_together_with_the_same_answers(place: str) -> None:
    desk = Desk(Setup(handmade_marker, place, 10**6, 10))
    marked = desk.marker.embed(smooth_picture(128, 160, seed=3), "01" * 16).image
    stream = io.BytesIO()
    Image.fromarray(marked).save(stream, "PNG")
    contents = [
        picture(seed=1), stream.getvalue(), b"no picture", picture(size=(160, 128), seed=2), picture(size=(20, 20)),
        picture(size=(1200, 1200)), stream.getvalue(),
    ]  # fmt: skip
    tasks = [{**DETECT, "name": f"{number}.png"} for number in range(len(contents))]
    tasks[1]["overlay"] = "staff"
    alone = [desk.do(task, (content,)) for task, content in zip(tasks, contents, strict=True)]
    together = desk.do_many(tasks, contents)
    assert [one["state"] for one, _ in alone] == ["done", "done", "refused", "done", "refused", "refused", "done"]
    assert together == alone and len(together[1][1]) == 2 and together[6][0]["detect"]["watermarks"]
    over = [{**task, "seconds": 1e-6, "most_pixels": 20_000} for task in tasks]
    said = [one for one, _ in desk.do_many(over, contents)]
    assert said == [desk.do(task, (content,))[0] for task, content in zip(over, contents, strict=True)]
    assert said[1] == {"state": "long"} and said[0]["detect"]["complete"] is False


def test_a_search_that_takes_long_is_handed_on_by_the_worker_for_short_pictures(place: str) -> None:
    desk = Desk(Setup(handmade_marker, place, 10**6, 10))
    content = (picture(size=(500, 500)),)
    assert desk.do({**DETECT, "most_seconds": 1e-6}, content)[0] == {"state": "long"}
    assert desk.do({**DETECT, "seconds": 1e-6, "most_seconds": 5.0}, content)[0]["detect"]["complete"] is False
    assert desk.do({**DETECT, "most_seconds": 60.0}, content)[0]["detect"]["complete"] is True


def test_a_worker_does_those_together_that_wait_and_one_that_ends_it_alone(place: str) -> None:
    pool = Pool(
        Setup(troubled_marker, place, 10**6, 10), 1, memory=3 * GIB, short_pixels=1, recycle=10**6, batch=3,
        batch_wait=1.0,
    )  # fmt: skip
    counts: list[int] = []
    pool.together = counts.append
    pool.start()
    try:
        answers = [read(pool), read(pool), read(pool, quick=True), read(pool)]
        assert [one.result(60).said["state"] for one in answers] == ["done"] * 4
        assert sorted(counts) == [1, 3]  # of one kind, as many as allowed
        answers = [read(pool), read(pool, width=DEADLY), read(pool)]
        with pytest.raises(DiedError):
            answers[1].result(120)
        assert [answers[place].result(60).said["state"] for place in (0, 2)] == ["done"] * 2
        assert sorted(counts[2:]) == [1, 1]
    finally:
        pool.close()


def no_model() -> Watermarker:
    raise ModelError("model: expected one, found none; name another")


def says_what_is_kept() -> Watermarker:
    raise ModelError(f"kept: {' '.join(os.environ[name] for name in VARIABLES)}")


def test_a_worker_keeps_few_convolutions_of_sizes_that_it_has_seen(place: str) -> None:
    pool = Pool(Setup(says_what_is_kept, place, 1, 1), 1, memory=GIB, short_pixels=1, recycle=1)
    kept = " ".join(os.environ.get(name, KEPT) for name in VARIABLES)
    with pytest.raises(WamError, match=f"kept: {kept}$"):
        pool.start()


def test_a_model_that_is_not_there_is_said_at_the_start(place: str) -> None:
    pool = Pool(Setup(no_model, place, 1, 1), 1, memory=GIB, short_pixels=1, recycle=1)
    with pytest.raises(WamError, match="model: expected one, found none"):
        pool.start()
