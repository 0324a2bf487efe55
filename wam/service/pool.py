"""Worker processes: each holds a loaded model and does one task at a time, and none of them is trusted to end.

One that takes longer than its task may, needs more memory, or dies is killed and replaced; the task fails, or goes to
another once where the worker died of something else. With two workers or more, the first is kept for short pictures, so
that long searches never fill all. Nothing here knows of HTTP.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any

from wam.errors import WamError
from wam.service.messages import Message, receive, send
from wam.service.setup import Setup, begin, start_context

LOG = logging.getLogger("wam.service")
START_SECONDS = 300.0  # for a worker to load its model
LOOK_SECONDS = 0.05  # between looks at what a worker needs
IDLE_SECONDS = 0.5  # between looks at whether an idle worker is still there
END_SECONDS = 2.0  # for a worker to end by itself
TRIES = 2  # of a task whose worker died
AGAIN_SECONDS = 2.0  # before a worker that cannot start is started again
PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 0  # bytes; Windows has no /proc to ask either


class PoolError(Exception):
    """A task that was not done."""


class OverrunError(PoolError):
    """It took too much ``of`` time or memory, and its worker was killed."""

    def __init__(self, of: str) -> None:
        super().__init__(f"too much {of}")
        self.of = of


class DiedError(PoolError):
    """Its workers died."""


class ClosedError(PoolError):
    """The pool ends."""


class Lane(IntEnum):
    """How a task waits: before all others, as one that takes long, or until nobody else does."""

    SHORT = 0
    LONG = 1
    BULK = 2


@dataclass
class _Task:
    said: dict[str, Any]
    contents: tuple[bytes, ...]
    seconds: float
    lane: Lane
    future: Future[Message] = field(default_factory=Future)
    tries: int = 0
    number: int = 0


class _Worker:
    """One process and the connection to it."""

    def __init__(self, setup: Setup, place: int, stopped: Callable[[], bool]) -> None:
        self.stopped = stopped
        context = start_context()
        self.connection, theirs = context.Pipe()
        self.process = context.Process(
            target=begin, args=(theirs, setup, place), daemon=True, name="wam-service-worker"
        )
        self.process.start()
        theirs.close()  # so that its end is noticed
        self.done = 0

    def ask(self, task: _Task, memory: int, most_pixels: int | None) -> Message:
        """The answer to a task; raises ``PoolError``, after which the process is gone."""
        try:
            send(self.connection, {**task.said, "most_pixels": most_pixels}, task.contents)
        except (OSError, ValueError) as error:
            self.kill()
            raise DiedError from error
        return self.answer(task.seconds, memory)

    def answer(self, seconds: float, memory: int) -> Message:
        """What it says within a time and with so much memory; raises ``PoolError`` likewise."""
        end = time.monotonic() + seconds
        try:
            while not self.connection.poll(LOOK_SECONDS):
                if self.stopped():
                    self.kill()
                    raise ClosedError
                if time.monotonic() > end:
                    self.kill()
                    raise OverrunError("time")
                if resident(self.process.pid) > memory:
                    self.kill()
                    raise OverrunError("memory")
            return receive(self.connection)
        except (EOFError, OSError, ValueError, KeyError) as error:
            self.kill()
            raise DiedError from error

    def kill(self) -> None:
        self.process.kill()
        self.process.join()
        self.connection.close()

    def end(self) -> None:
        """Lets it end by itself, which it does when it is idle; nothing more for one that was killed."""
        self.connection.close()
        self.process.join(END_SECONDS)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


class Pool:
    """So many workers; ``start`` it, ``submit`` tasks from any thread, ``close`` it.

    ``memory``: bytes of a worker's process; ``short_pixels``: what the worker for short pictures takes at most;
    ``recycle``: tasks after which a worker is replaced; ``restarted``: told why one was.
    """

    def __init__(
        self,
        setup: Setup,
        count: int,
        *,
        memory: int,
        short_pixels: int,
        recycle: int,
    ) -> None:
        self.setup, self.count = setup, count
        self.model = ""
        self._memory, self._short_pixels, self._recycle = memory, short_pixels, recycle
        self.restarted: Callable[[str], object] = LOG.debug
        self._changed = threading.Condition()
        self._lanes: dict[Lane, deque[_Task]] = {lane: deque() for lane in Lane}
        self._workers: dict[int, _Worker] = {}
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
        task = _Task(said, contents, seconds, lane)
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
            _fail(task, ClosedError())
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

    def _made(self, place: int) -> _Worker | None:
        """A worker that is ready; None where there is none."""
        worker = _Worker(self.setup, place, lambda: self._closed)
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

    def _serve(self, worker: _Worker, reserved: bool) -> str:
        """Does tasks until the worker is no more; says why."""
        while True:
            task = self._take(reserved)
            if self._closed:
                if task is not None:
                    _fail(task, ClosedError())
                return "closed"
            if task is None:
                if not worker.process.is_alive():
                    return "died"
                continue
            try:
                answer = worker.ask(task, self._memory, self._short_pixels if reserved else None)
            except ClosedError as error:
                _fail(task, error)
                return "closed"
            except OverrunError as error:
                _fail(task, error)
                return error.of
            except DiedError as error:
                task.tries += 1
                if task.tries < TRIES:
                    self._put_back(task)
                else:
                    _fail(task, error)
                return "died"
            if answer.said.get("state") == "long":
                task.lane = Lane.LONG
                self._put_back(task)
            else:
                task.future.set_result(answer)
            worker.done += 1
            if worker.done >= self._recycle:
                return "recycled"

    def _take(self, reserved: bool) -> _Task | None:
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

    def _put_back(self, task: _Task) -> None:
        """In front of its lane again."""
        with self._changed:
            if self._closed:
                _fail(task, ClosedError())
                return
            self._lanes[task.lane].appendleft(task)
            self._changed.notify_all()


def _fail(task: _Task, error: PoolError) -> None:
    if not task.future.done():
        with suppress(Exception):  # cancelled meanwhile
            task.future.set_exception(error)


def resident(pid: int | None) -> int:
    """Bytes of memory that a process has at the moment; 0 where the system does not say."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    except (OSError, IndexError, ValueError):
        return 0
