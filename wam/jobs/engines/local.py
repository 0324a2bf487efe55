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
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import TypeVar

import torch

from payload.registry import Registry
from payload.registry.entry import Entry
from wam.jobs.id_allocation import Ledger
from wam.jobs.journal import Book, earlier_line
from wam.jobs.outcome import DetectOutcome, EmbedOutcome, RegisteredWords
from wam.jobs.plan import Item, Source
from wam.pictures.files import Picture
from wam.pictures.storage import read_frames, read_picture
from wam.pipeline.frames import to_read
from wam.pipeline.loaded import Loaded, load
from wam.pipeline.mark_link import finish, mark
from wam.pipeline.mark_record import RecordJob, finish_record, load_for_record
from wam.pipeline.read import AnyReading, examine, judge
from wam.watermarker import Watermarker

MOST_PIXELS = 64_000_000  # of all pictures that are in the networks and encoders at once: some 40 bytes each
AHEAD = 16  # chunks for each worker that may be done before the first of them is
BATCH = {"cpu": 1, "cuda": 8, "mps": 8}  # files to a chunk

Given = TypeVar("Given")
Outcome = TypeVar("Outcome")
Draw = Callable[[Source, Picture, list[AnyReading]], None]


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
    ledger: Ledger,
    items: Sequence[Item],
    *,
    workers: int | None = None,
    batch: int | None = None,
    resume: bool = False,
) -> Generator[EmbedOutcome]:
    """Marks all items as the ledger's settings say, in order; see ``Ledger`` for what a crash leaves. ``resume`` skips
    what is done."""
    run = _Embedding(marker, ledger, resume, RegisteredWords(ledger.registry))
    size = batch or BATCH[marker.device.type]
    return _in_order(run.chunk, items, size, workers or default_workers(), run.stop)


def embed_records_locally(
    marker: Watermarker, book: Book, items: Sequence[Item], *, workers: int | None = None, resume: bool = False
) -> Generator[EmbedOutcome]:
    """The same in record mode: each record goes into its picture, and only the manifest keeps account."""
    job, gate, stop = RecordJob(marker, book.settings), Gate(), threading.Event()

    def work(chunk: Sequence[Item]) -> list[EmbedOutcome]:
        (item,) = chunk
        if stop.is_set():
            raise Stopped
        try:
            earlier = earlier_line(book, item, resume=resume)
            if earlier is not None:
                return [EmbedOutcome(item, earlier=earlier)]
            assert item.record is not None
            loaded = load_for_record(book.settings, item.source.location, item.target, item.record)
            with gate.passing(loaded.pixels):
                result = finish_record(job, loaded, item.record)
            return [EmbedOutcome(item, book.note(item, result))]
        except Exception as error:
            return [EmbedOutcome(item, error=error)]

    return _in_order(work, items, 1, workers or default_workers(), stop)


def detect_locally(
    marker: Watermarker,
    registry: Registry | None,
    sources: Sequence[Source],
    *,
    thorough: bool = False,
    frames: bool = False,
    workers: int | None = None,
    draw: Draw | None = None,
) -> Generator[DetectOutcome]:
    """Reads all sources, in order, with ``frames`` all frames of animations. ``draw`` is given each picture with its
    readings, in the worker's thread."""
    words, gate = RegisteredWords(registry), Gate()

    def read(chunk: Sequence[Source]) -> list[DetectOutcome]:
        (source,) = chunk
        try:
            pictures = to_read(read_frames(source.location)) if frames else (read_picture(source.location),)
            picture = pictures[0]
            with gate.passing(picture.width * picture.height * len(pictures)):
                examined = examine(marker, *pictures, thorough=thorough)
                readings = judge(examined, registry, words.get() if examined.has_marks else None)
                if draw is not None:
                    draw(source, picture, readings)
        except Exception as error:
            return [DetectOutcome(source, error=error)]
        size = (picture.width, picture.height)
        return [DetectOutcome(source, *size, tuple(readings), label=examined.label, searches=examined.searches)]

    return _in_order(read, sources, 1, workers or default_workers(), threading.Event())


def _in_order(
    work: Callable[[Sequence[Given]], list[Outcome]],
    given: Iterable[Given],
    size: int,
    workers: int,
    stop: threading.Event,
) -> Generator[Outcome]:
    """Outcomes of chunks that workers do side by side. Whoever stops asking, Ctrl-C say, stops them after a file."""
    remaining = iter(given)
    waiting: deque[Future[list[Outcome]]] = deque()
    first = list(islice(remaining, 2))
    remaining = chain(first, remaining)
    # torch's threads inside each worker wait for one another: with other work on the machine that took 9 times the CPU
    settings = (torch.set_num_threads, (1,)) if len(first) > 1 else (None, ())
    with ThreadPoolExecutor(workers, "wam", *settings) as pool:
        try:
            while chunk := list(islice(remaining, size)):
                waiting.append(pool.submit(work, chunk))
                if len(waiting) > workers * AHEAD:
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
    ledger: Ledger
    resume: bool
    words: RegisteredWords
    stop: threading.Event = field(default_factory=threading.Event)
    gate: Gate = field(default_factory=Gate)

    def chunk(self, items: Sequence[Item]) -> list[EmbedOutcome]:
        """Marks some files; pictures go on to the networks when they are many pixels, or all there are."""
        outcomes: dict[int, EmbedOutcome] = {}
        ready: list[tuple[Item, Loaded]] = []
        for item in items:
            self._check()
            try:
                earlier = earlier_line(self.ledger, item, resume=self.resume)
                if earlier is not None:
                    outcomes[id(item)] = EmbedOutcome(item, earlier=earlier)
                    continue
                ready.append((item, self._load(item)))
            except Exception as error:
                outcomes[id(item)] = EmbedOutcome(item, error=error)
            if sum(one.pixels for _, one in ready) * len(items) > MOST_PIXELS:
                outcomes.update(self._mark(ready))
                ready = []
        outcomes.update(self._mark(ready))
        return [outcomes[id(item)] for item in items]

    def _load(self, item: Item) -> Loaded:
        settings = self.ledger.settings
        owner = item.record.owner if settings.label and item.record is not None else None
        return load(item.source.location, item.target, frames=settings.frames, label=owner, quality=settings.quality)

    def _mark(self, ready: list[tuple[Item, Loaded]]) -> dict[int, EmbedOutcome]:
        """Marks pictures together; where that fails, one by one."""
        if not ready:
            return {}
        with self.gate.passing(sum(one.pixels for _, one in ready)):
            try:
                self._check()
                entries = self.ledger.begin(*(item for item, _ in ready))
            except Exception as error:
                return {id(item): EmbedOutcome(item, error=error) for item, _ in ready}
            open_entries = dict(zip((id(item) for item, _ in ready), entries, strict=True))
            try:
                return self._mark_entered(ready, open_entries)
            finally:  # what is still open was not written
                for entry in open_entries.values():
                    self.ledger.abandon(entry)

    def _mark_entered(
        self, ready: list[tuple[Item, Loaded]], open_entries: dict[int, Entry]
    ) -> dict[int, EmbedOutcome]:
        words = [open_entries[id(item)].word for item, _ in ready]
        try:
            pictures = mark(self.marker, [loaded for _, loaded in ready], words, self.ledger.settings.strength)
        except Exception as error:
            if len(ready) == 1:
                return {id(ready[0][0]): EmbedOutcome(ready[0][0], error=error)}
            alone = [self._mark_entered([one], open_entries) for one in ready]
            return {key: outcome for one in alone for key, outcome in one.items()}
        outcomes = {}
        for (item, loaded), pixels in zip(ready, pictures, strict=True):
            self._check()
            entry = open_entries[id(item)]
            try:
                known = self.words.and_own(entry.word)
                folders = self.ledger.manifest is not None
                written = finish(
                    self.marker, loaded, pixels, entry.word, known, strength=self.ledger.settings.strength,
                    make_folders=folders,
                )  # fmt: skip
                del open_entries[id(item)]  # the file is there: from here on the id is never given up
                outcomes[id(item)] = EmbedOutcome(item, self.ledger.complete(item, entry, written))
            except Exception as error:
                outcomes[id(item)] = EmbedOutcome(item, error=error)
        return outcomes

    def _check(self) -> None:
        if self.stop.is_set():
            raise Stopped
