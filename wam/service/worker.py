"""One worker process: what is asked of it, how long and with how much memory, and what becomes of it else."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any

from wam.service.messages import Message, receive, send
from wam.service.setup import Setup, begin, start_context

LOOK_SECONDS = 0.05  # between looks at what a worker needs
END_SECONDS = 2.0  # for a worker to end by itself
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
class Task:
    """What is asked, within how many ``seconds``, and how it waits; ``tries`` that ended its worker, and whether it is
    done ``alone``, since a batch with it was not done."""

    said: dict[str, Any]
    contents: tuple[bytes, ...]
    seconds: float
    lane: Lane
    future: Future[Message] = field(default_factory=Future)
    tries: int = 0
    number: int = 0
    alone: bool = False

    @property
    def kin(self) -> tuple[Any, ...] | None:
        """What tasks that can be done together have in common; None for one that is done alone."""
        said = self.said
        if self.alone or self.lane is not Lane.SHORT or said["do"] != "detect" or said["frames"]:
            return None
        return said["thorough"], said["quick"], said["seconds"], said.get("similar", 0)

    def fail(self, error: PoolError) -> None:
        """Says that it was not done."""
        if not self.future.done():
            with suppress(Exception):  # cancelled meanwhile
                self.future.set_exception(error)


class Worker:
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

    def ask(self, tasks: Sequence[Task], memory: int, bounds: Mapping[str, Any]) -> list[Message]:
        """The answers to tasks that are done together, within ``bounds``; raises ``PoolError``, after which the process
        is gone."""
        said = [{**task.said, **bounds} for task in tasks]
        contents = [content for task in tasks for content in task.contents]
        try:
            send(self.connection, said[0] if len(said) == 1 else {"do": "batch", "tasks": said}, contents)
        except (OSError, ValueError) as error:
            self.kill()
            raise DiedError from error
        # together first, and where that takes too long one after another
        seconds = max(task.seconds for task in tasks) * (len(tasks) + 1 if len(tasks) > 1 else 1)
        answer = self.answer(seconds, memory)
        return [answer] if len(tasks) == 1 else apart(answer)

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
        """Ends it at once."""
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


def apart(answer: Message) -> list[Message]:
    """The answers of a batch, each with its own contents."""
    contents = iter(answer.contents)
    return [
        Message(said, tuple(next(contents) for _ in range(count)))
        for said, count in zip(answer.said["answers"], answer.said["counts"], strict=True)
    ]


def resident(pid: int | None) -> int:
    """Bytes of memory that a process has at the moment; 0 where the system does not say."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    except (OSError, IndexError, ValueError):
        return 0
