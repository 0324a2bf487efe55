"""Worker processes: each holds a loaded model and does one task at a time, and none of them is trusted to end.

One that takes longer than its task may, needs more memory, or dies is killed and replaced; the task fails, or goes to
another once where the worker died of something else. Nothing here knows of HTTP.

Long searches never block short ones: with two workers or more, the first is kept for short pictures. It hands on what
has too many pixels before it looks, and what its search is not through with after ``SHORT_SECONDS``; that is gone on
with by another, from the start.

Where workers are told to ``batch``, tasks of one kind that wait are done by one worker together, which GPUs are quicker
at; a worker that has one waits a few milliseconds for more. A batch that ends its worker is done again one by one.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from wam.errors import WamError
from wam.service.messages import Message, receive
from wam.service.setup import Setup
from wam.service.worker import ClosedError, DiedError, Lane, OverrunError, Task, Worker

LOG = logging.getLogger("wam.service")
START_SECONDS = 300.0  # for a worker to load its model
IDLE_SECONDS = 0.5  # between looks at whether an idle worker is still there
SHORT_SECONDS = 8.0  # of search, after which the worker for short pictures hands one on
BATCH_WAIT = 0.004  # seconds that a worker waits for more to do together
TRIES = 2  # of a task whose worker died
AGAIN_SECONDS = 2.0  # before a worker that cannot start is started again


class Pool:
    """So many workers; ``start`` it, ``submit`` tasks from any thread, ``close`` it.

    ``memory``: bytes of a worker's process; ``short_pixels``: what the worker for short pictures takes at most;
    ``recycle``: tasks after which a worker is replaced; ``batch``: how many one does together at most, and
    ``batch_wait`` seconds that it waits for more than one. ``restarted`` is told why a worker was replaced, and
    ``together`` how many tasks were done in one go.
    """

    def __init__(
        self,
        setup: Setup,
        count: int,
        *,
        memory: int,
        short_pixels: int,
        recycle: int,
        batch: int = 1,
        batch_wait: float = BATCH_WAIT,
        short_seconds: float = SHORT_SECONDS,
    ) -> None:
        self.setup, self.count = setup, count
        self.model = ""
        self._memory, self._recycle = memory, recycle
        self._bounds = {"most_pixels": short_pixels, "most_seconds": short_seconds}  # of the worker for short ones
        self._batch, self._batch_wait = batch, batch_wait
        self.restarted: Callable[[str], object] = LOG.debug
        self.together: Callable[[int], object] = lambda _: None
        self._changed = threading.Condition()
        self._lanes: dict[Lane, deque[Task]] = {lane: deque() for lane in Lane}
        self._workers: dict[int, Worker] = {}
        self._first: Future[None] = Future()
        self._closed = False
        self._number = 0
        self._threads = [
            threading.Thread(target=self._keep, args=(place,), name=f"wam-keeper-{place}", daemon=True)
            for place in range(count)
        ]

    def start(self) -> None:
        """Starts the workers and waits for the first one; raises ``WamError`` where it cannot be made."""
        for thread in self._threads:
            thread.start()
        try:
            self._first.result()
        except BaseException:
            self.close()
            raise

    def submit(
        self, said: dict[str, Any], *contents: bytes, seconds: float, lane: Lane = Lane.SHORT
    ) -> Future[Message]:
        """The answer to come; it fails with a ``PoolError``. ``seconds`` that a worker may take."""
        task = Task(said, contents, seconds, lane)
        with self._changed:
            if self._closed:
                task.future.set_exception(ClosedError())
                return task.future
            self._number += 1
            task.number = self._number
            self._lanes[lane].append(task)
            self._changed.notify_all()
        return task.future

    @property
    def waiting(self) -> int:
        """Tasks that no worker has begun."""
        with self._changed:
            return sum(map(len, self._lanes.values()))

    @property
    def pids(self) -> list[int]:
        """Processes that are ready."""
        with self._changed:
            return [int(worker.process.pid or 0) for worker in self._workers.values()]

    def close(self) -> None:
        """Ends the workers; what waits fails."""
        with self._changed:
            self._closed = True
            tasks = [task for lane in self._lanes.values() for task in lane]
            for lane in self._lanes.values():
                lane.clear()
            self._changed.notify_all()
        for task in tasks:
            task.fail(ClosedError())
        for thread in self._threads:
            if thread.ident is not None and thread is not threading.current_thread():
                thread.join()

    def _keep(self, place: int) -> None:
        """Keeps one worker at work, and in life."""
        reserved = place == 0 and self.count > 1
        while not self._closed:
            worker = self._made(place)
            if worker is None:
                time.sleep(0 if self._closed else AGAIN_SECONDS)
                continue
            with self._changed:
                self._workers[place] = worker
            if not self._first.done():
                with suppress(Exception):  # another was first meanwhile
                    self._first.set_result(None)
            why = self._serve(worker, reserved)
            with self._changed:
                del self._workers[place]
            if not self._closed:
                LOG.warning("a worker was replaced: %s", why)
                self.restarted(why)
            worker.end()

    def _made(self, place: int) -> Worker | None:
        """A worker that is ready; None where there is none."""
        worker = Worker(self.setup, place, lambda: self._closed)
        end = time.monotonic() + START_SECONDS
        line = "a worker could not be started"
        try:
            while not self._closed and time.monotonic() < end:
                if worker.connection.poll(IDLE_SECONDS):
                    said = receive(worker.connection).said
                    if said["state"] == "ready":
                        self.model = str(said["model"])
                        return worker
                    line = str(said["line"])
                    break
        except (EOFError, OSError, ValueError, KeyError):
            pass
        worker.kill()
        if not self._closed:
            LOG.error("no worker: %s", line)
        if not self._first.done():
            with suppress(Exception):
                self._first.set_exception(WamError(line))
        return None

    def _serve(self, worker: Worker, reserved: bool) -> str:
        """Does tasks until the worker is no more; says why."""
        while True:
            task = self._take(reserved)
            if self._closed:
                if task is not None:
                    task.fail(ClosedError())
                return "closed"
            if task is None:
                if not worker.process.is_alive():
                    return "died"
                continue
            tasks = [task, *self._more_like(task)]
            try:
                answers = worker.ask(tasks, self._memory, self._bounds if reserved else {})
            except ClosedError as error:
                for one in tasks:
                    one.fail(error)
                return "closed"
            except (OverrunError, DiedError) as error:
                self._not_done(tasks, error)
                return error.of if isinstance(error, OverrunError) else "died"
            self.together(len(tasks))
            for one, answer in zip(tasks, answers, strict=True):
                if answer.said.get("state") == "long":
                    one.lane = Lane.LONG
                    self._put_back(one)
                else:
                    one.future.set_result(answer)
            worker.done += len(tasks)
            if worker.done >= self._recycle:
                return "recycled"

    def _not_done(self, tasks: list[Task], error: OverrunError | DiedError) -> None:
        """What becomes of tasks that their worker ended with: those of a batch are done alone, since it is one of them
        at most that is to blame; one that was alone is tried once more where the worker died."""
        for task in reversed(tasks):
            if len(tasks) > 1:
                task.alone = True
                self._put_back(task)
                continue
            task.tries += 1
            if isinstance(error, OverrunError) or task.tries >= TRIES:
                task.fail(error)
            else:
                self._put_back(task)

    def _more_like(self, task: Task) -> list[Task]:
        """Tasks that can be done with one, of those that wait or come in a moment."""
        more: list[Task] = []
        if self._batch == 1 or task.kin is None:
            return more
        end = time.monotonic() + self._batch_wait
        with self._changed:
            while not self._closed:
                lane = self._lanes[task.lane]
                alike = [one for one in lane if one.kin == task.kin][: self._batch - 1 - len(more)]
                for one in alike:
                    lane.remove(one)
                more += [one for one in alike if one.future.running() or one.future.set_running_or_notify_cancel()]
                left = end - time.monotonic()
                if len(more) == self._batch - 1 or left <= 0:
                    break
                self._changed.wait(left)
        return more

    def _take(self, reserved: bool) -> Task | None:
        """The next task for a worker, or None after a while: what waits longest, bulk where nothing else does."""
        lanes = [Lane.SHORT] if reserved else [Lane.SHORT, Lane.LONG]
        with self._changed:
            for attempt in range(2):
                while True:
                    heads = [self._lanes[lane][0] for lane in lanes if self._lanes[lane]]
                    if not heads and not reserved and self._lanes[Lane.BULK]:
                        heads = [self._lanes[Lane.BULK][0]]
                    if not heads:
                        break
                    task = min(heads, key=lambda one: one.number)
                    self._lanes[task.lane].popleft()
                    if task.tries or task.future.running() or task.future.set_running_or_notify_cancel():
                        return task
                if attempt == 0 and not self._closed:
                    self._changed.wait(IDLE_SECONDS)
            return None

    def _put_back(self, task: Task) -> None:
        """In front of its lane again."""
        with self._changed:
            if self._closed:
                task.fail(ClosedError())
                return
            self._lanes[task.lane].appendleft(task)
            self._changed.notify_all()
