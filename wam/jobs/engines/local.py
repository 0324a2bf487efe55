"""The engine of one machine: worker threads that share one model.

Each thread takes a chunk of files from reading to writing, so that decoding and encoding in one overlap the networks in
another. On a CPU a chunk is one file (a batch of eight takes 9% longer for each picture than one alone), on an
accelerator eight, and pictures that come to one working size go through the networks together.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

from wam.jobs.engines.steps import load_item, open_source, write_marked
from wam.jobs.modes import MarkMode, Reservation, earlier_line
from wam.jobs.outcome import DetectOutcome, EmbedOutcome
from wam.jobs.plan import Item, Source
from wam.models.effort import USUAL, Effort
from wam.pictures.samples import Picture
from wam.pictures.storage import Location
from wam.pipeline.loaded import Loaded
from wam.pipeline.marking import Request, mark_each
from wam.pipeline.options import MarkOptions
from wam.pipeline.read import AnyReading, ReadSteps, judge
from wam.pipeline.registered_words import RegisteredWords, Registries
from wam.watermarker import Watermarker

MOST_PIXELS = 64_000_000  # of all pictures that are in the networks and encoders at once: some 40 bytes each
AHEAD = 16  # chunks for each worker that may be done before the first of them is
BATCH = {"cpu": 1, "cuda": 8, "mps": 8}  # files to a chunk

Given = TypeVar("Given")
Outcome = TypeVar("Outcome")
Load = Callable[[Location, Location, MarkOptions], Loaded]
Draw = Callable[[int, Picture, Sequence[AnyReading]], None]


class Stopped(BaseException):
    """Ends a worker's chunk when the run is interrupted."""


class Gate:
    """Lets pictures through as long as they are few pixels in all; a larger one waits until it is alone."""

    def __init__(self, most: int = MOST_PIXELS) -> None:
        self.most = most
        self.inside = 0
        self._changed = threading.Condition()

    @contextmanager
    def passing(self, pixels: int) -> Iterator[None]:
        """Holds a place for so many pixels."""
        with self._changed:
            self._changed.wait_for(lambda: not self.inside or self.inside + pixels <= self.most)
            self.inside += pixels
        try:
            yield
        finally:
            with self._changed:
                self.inside -= pixels
                self._changed.notify_all()


def default_workers() -> int:
    """One for each CPU that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def embed_locally(
    marker: Watermarker,
    mode: MarkMode,
    items: Sequence[Item],
    *,
    workers: int | None = None,
    batch: int | None = None,
    resume: bool = False,
    load: Load = load_item,
    start_worker: Callable[[], None] | None = None,
) -> Generator[EmbedOutcome]:
    """Marks all items in the mode given, in order; ``resume`` skips what is done.

    ``load`` gives the picture of a source, to be written as a target: see ``steps``; ``batch``: files to a chunk, None
    for the device's own; ``start_worker`` is called first in each worker's thread.
    """
    run = _Embedding(marker, mode, resume, load)
    size = batch or BATCH[marker.device.type]
    return _in_order(run.chunk, items, size, workers or default_workers(), run.stop, start_worker)


def detect_locally(
    marker: Watermarker,
    registry: Registries,
    sources: Iterable[Source],
    *,
    effort: Effort = USUAL,
    frames: bool = False,
    similar: int = 0,
    workers: int | None = None,
    draw: Draw | None = None,
    start_worker: Callable[[], None] | None = None,
) -> Generator[DetectOutcome]:
    """Reads all sources, in order, with ``frames`` all frames of animations, and lists ``similar`` registered pictures
    that look alike. They are asked for as workers get on.

    ``draw`` is given the place of each source, its picture and its readings, in the worker's thread; ``start_worker``
    is called first there.
    """
    words, gate = RegisteredWords(registry), Gate()

    def read(chunk: Sequence[tuple[int, Source]]) -> list[DetectOutcome]:
        ((index, source),) = chunk
        try:
            steps = ReadSteps(marker, effort=effort, frames=frames, labels=words.labels, similar=similar)
            pictures = open_source(steps, source)
            with gate.passing(sum(picture.width * picture.height for picture in pictures)):
                findings = judge(steps.examine(pictures), words)
                if draw is not None:
                    draw(index, pictures[0], findings.readings)
        except Exception as error:
            return [DetectOutcome(source, error=error)]
        return [DetectOutcome(source, findings)]

    given = enumerate(sources)
    return _in_order(read, given, 1, workers or default_workers(), threading.Event(), start_worker)


def _in_order(
    work: Callable[[Sequence[Given]], list[Outcome]],
    given: Iterable[Given],
    size: int,
    workers: int,
    stop: threading.Event,
    start_worker: Callable[[], None] | None,
) -> Generator[Outcome]:
    """Outcomes of chunks that workers do side by side. Whoever stops asking, Ctrl-C say, stops them after a file."""
    remaining = iter(given)
    waiting: deque[Future[list[Outcome]]] = deque()
    with ThreadPoolExecutor(workers, "wam", start_worker) as pool:
        try:
            while chunk := list(islice(remaining, size)):
                waiting.append(pool.submit(work, chunk))
                while waiting and (waiting[0].done() or len(waiting) > workers * AHEAD):
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:
            stop.set()
            for future in waiting:
                future.cancel()


@dataclass
class _Embedding:
    """What the workers of one run share."""

    marker: Watermarker
    mode: MarkMode
    resume: bool
    load: Load
    stop: threading.Event = field(default_factory=threading.Event)
    gate: Gate = field(default_factory=Gate)

    def chunk(self, items: Sequence[Item]) -> list[EmbedOutcome]:
        """Marks some files; pictures go on to the networks when they are many pixels, or all there are."""
        outcomes: dict[int, EmbedOutcome] = {}
        ready: dict[int, Loaded] = {}
        for index, item in enumerate(items):
            self._check()
            try:
                earlier = earlier_line(self.mode, item, resume=self.resume)
                if earlier is not None:
                    outcomes[index] = EmbedOutcome(item, earlier=earlier)
                    continue
                ready[index] = self.load(item.source.location, item.target, self.mode.marking.options)
            except Exception as error:
                outcomes[index] = EmbedOutcome(item, error=error)
            if sum(loaded.pixels for loaded in ready.values()) * len(items) > MOST_PIXELS:
                outcomes |= self._mark(items, ready)
                ready = {}
        outcomes |= self._mark(items, ready)
        return [outcomes[index] for index in range(len(items))]

    def _mark(self, items: Sequence[Item], ready: dict[int, Loaded]) -> dict[int, EmbedOutcome]:
        """Reserves, marks and writes pictures that were read, by their places among the items."""
        if not ready:
            return {}
        with self.gate.passing(sum(loaded.pixels for loaded in ready.values())):
            try:
                self._check()
                wanted, digests = [items[index] for index in ready], [loaded.digest for loaded in ready.values()]
                reserved = dict(zip(ready, self.mode.reserve(wanted, digests), strict=True))
            except Exception as error:
                return {index: EmbedOutcome(items[index], error=error) for index in ready}
            open_ones = dict(reserved)
            try:
                return dict(self._mark_reserved(items, ready, open_ones))
            finally:  # what is still open was not written
                for reservation in open_ones.values():
                    self.mode.abandon(reservation)

    def _mark_reserved(
        self, items: Sequence[Item], ready: dict[int, Loaded], open_ones: dict[int, Reservation]
    ) -> Iterator[tuple[int, EmbedOutcome]]:
        """Each outcome; a file that was written is taken out of ``open_ones``."""
        reserved = dict(open_ones)
        requests = [
            Request(loaded, reserved[index].record, reserved[index].word, reserved[index].label)
            for index, loaded in ready.items()
        ]
        with closing(mark_each(self.marker, self.mode.marking, requests)) as marked_files:
            for index in ready:
                self._check()
                marked, item = next(marked_files), items[index]
                try:
                    if isinstance(marked, Exception):
                        raise marked
                    folders = self.mode.journal.manifest is not None
                    written = write_marked(marked, item.source.location, item.target, make_folders=folders)
                    del open_ones[index]  # the file is there: from here on what it carries is never given up
                    yield index, EmbedOutcome(item, self.mode.settle(item, reserved[index], written))
                except Exception as error:
                    yield index, EmbedOutcome(item, error=error)

    def _check(self) -> None:
        if self.stop.is_set():
            raise Stopped
