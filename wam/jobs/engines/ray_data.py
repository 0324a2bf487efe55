"""The engine of many machines: the same steps on Ray Data.

Ids are reserved before the work is handed out and confirmed as it comes back, both here, where registry and manifest
are. Workers only read, mark and write; one that dies is replaced and its files are marked again with the same ids. They
need the toolkit installed, and every input and output under the same path or URL. In record mode there are no ids, and
only the manifest is kept here.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from payload import Record
from payload.layout import Words
from payload.registry import Registry
from payload.registry.entry import Entry
from wam.jobs.engines.ray_pool import Cluster, Load, Task, Worker, absolute, connected, run_tasks
from wam.jobs.id_allocation import Ledger
from wam.jobs.journal import Book, earlier_line
from wam.jobs.outcome import DetectOutcome, EmbedOutcome, RegisteredWords
from wam.jobs.plan import Item, Source
from wam.pictures.storage import Location, read_frames, read_picture
from wam.pipeline.frames import to_read
from wam.pipeline.loaded import load
from wam.pipeline.mark_link import finish, mark
from wam.pipeline.mark_record import RecordJob, RecordResult, finish_record, load_for_record
from wam.pipeline.options import Settings
from wam.pipeline.read import Examined, examine, judge

WAVE = 2000  # files that are handed out at a time


@dataclass(frozen=True)
class _LinkTask(Task):
    """One file to mark with a word; ``label``: the owner to name in a metadata label."""

    target: Location
    word: int
    label: str | None


@dataclass(frozen=True)
class _RecordTask(Task):
    """One file to mark with a record."""

    target: Location
    record: Record


def embed_on_cluster(
    cluster: Cluster, ledger: Ledger, items: Sequence[Item], *, resume: bool = False
) -> Generator[EmbedOutcome]:
    """Marks all items, in order; as ``embed_locally``."""
    return _embed(cluster, _Links(ledger), items, resume)


def embed_records_on_cluster(
    cluster: Cluster, book: Book, items: Sequence[Item], *, resume: bool = False
) -> Generator[EmbedOutcome]:
    """Marks all items, in order; as ``embed_records_locally``."""
    return _embed(cluster, _Records(book), items, resume)


class _Links:
    """What the two modes do apart: how a wave begins, what its workers are, and how a result is entered."""

    def __init__(self, ledger: Ledger) -> None:
        self.book, self.ledger = ledger, ledger
        self.worker: type[Worker] = _LinkWorker
        self.entries: dict[int, Entry] = {}

    def begin(self, items: dict[int, Item]) -> list[Task]:
        self.entries = dict(zip(items, self.ledger.begin(*items.values()), strict=True))
        return [self._task(index, item, self.entries[index]) for index, item in items.items()]

    def _task(self, index: int, item: Item, entry: Entry) -> Task:
        label = entry.record.owner if self.book.settings.label else None
        return _LinkTask(index, absolute(item.source.location), absolute(item.target), entry.word, label)

    def options(self) -> dict[str, Any]:
        words, make_folders = self.ledger.registry.words(), self.book.manifest is not None
        return {"settings": self.book.settings, "words": words, "make_folders": make_folders}

    def settle(self, index: int, item: Item, result: Any) -> EmbedOutcome:
        """Confirms what a worker wrote, gives up the id of what it could not write."""
        if isinstance(result, Exception):
            self.ledger.abandon(self.entries[index])
            raise result
        return EmbedOutcome(item, self.ledger.complete(item, self.entries[index], result))


class _Records:
    """The same in record mode."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self.worker: type[Worker] = _RecordWorker

    def begin(self, items: dict[int, Item]) -> list[Task]:
        return [self._task(index, item) for index, item in items.items()]

    def _task(self, index: int, item: Item) -> Task:
        assert item.record is not None
        return _RecordTask(index, absolute(item.source.location), absolute(item.target), item.record)

    def options(self) -> dict[str, Any]:
        return {"settings": self.book.settings}

    def settle(self, index: int, item: Item, result: Any) -> EmbedOutcome:
        """Enters what a worker wrote under the names that were given."""
        if isinstance(result, Exception):
            raise result
        assert isinstance(result, RecordResult)
        named = replace(result, image=os.fspath(item.source.location), output=os.fspath(item.target))
        return EmbedOutcome(item, self.book.note(item, named))


def _embed(cluster: Cluster, run: _Links | _Records, items: Sequence[Item], resume: bool) -> Generator[EmbedOutcome]:
    for item in items:
        absolute(item.source.location)  # refuses what no worker can read before anything is done
    with connected(cluster) as ray:
        for start in range(0, len(items), WAVE):
            yield from _embed_wave(ray, cluster, run, items[start : start + WAVE], resume)


def _embed_wave(
    ray: Any, cluster: Cluster, run: _Links | _Records, items: Sequence[Item], resume: bool
) -> Generator[EmbedOutcome]:
    known: dict[int, EmbedOutcome] = {}
    todo: dict[int, Item] = {}
    for index, item in enumerate(items):
        try:
            earlier = earlier_line(run.book, item, resume=resume)
            if earlier is None:
                todo[index] = item
            else:
                known[index] = EmbedOutcome(item, earlier=earlier)
        except Exception as error:
            known[index] = EmbedOutcome(item, error=error)
    tasks = run.begin(todo)
    results = run_tasks(ray, cluster, run.worker, {"load": cluster.load, **run.options()}, tasks)
    for index in range(len(items)):
        while index not in known:
            number, result = next(results)
            try:
                known[number] = run.settle(number, items[number], result)
            except Exception as error:
                known[number] = EmbedOutcome(items[number], error=error)
        yield known.pop(index)


def detect_on_cluster(
    cluster: Cluster,
    registry: Registry | None,
    sources: Sequence[Source],
    *,
    thorough: bool = False,
    frames: bool = False,
) -> Generator[DetectOutcome]:
    """Reads all sources, in order; as ``detect_locally``, without pictures."""
    words = RegisteredWords(registry)
    options = {"load": cluster.load, "thorough": thorough, "frames": frames}
    with connected(cluster) as ray:
        for start in range(0, len(sources), WAVE):
            wave = sources[start : start + WAVE]
            tasks = [Task(index, absolute(source.location)) for index, source in enumerate(wave)]
            results = run_tasks(ray, cluster, _DetectWorker, options, tasks)
            known: dict[int, Any] = {}
            for index, source in enumerate(wave):
                while index not in known:
                    number, result = next(results)
                    known[number] = result
                yield _judged(source, known.pop(index), registry, words)


def _judged(source: Source, result: Any, registry: Registry | None, words: RegisteredWords) -> DetectOutcome:
    if isinstance(result, Exception):
        return DetectOutcome(source, error=result)
    assert isinstance(result, Examined)
    try:
        readings = judge(result, registry, words.get() if result.has_marks else None)
    except Exception as error:
        return DetectOutcome(source, error=error)
    return DetectOutcome(
        source, result.width, result.height, tuple(readings), label=result.label, searches=result.searches
    )


class _LinkWorker(Worker):
    def __init__(self, load: Load, settings: Settings, words: Words, make_folders: bool) -> None:
        super().__init__(load)
        self.settings, self.words, self.make_folders = settings, words, make_folders

    def work(self, task: Task) -> Any:
        assert isinstance(task, _LinkTask)
        frames, quality = self.settings.frames, self.settings.quality
        loaded = load(task.source, task.target, frames=frames, label=task.label, quality=quality)
        strength = self.settings.strength
        (pixels,) = mark(self.marker, [loaded], [task.word], strength)
        return finish(
            self.marker, loaded, pixels, task.word, self.words, strength=strength, make_folders=self.make_folders
        )


class _RecordWorker(Worker):
    def __init__(self, load: Load, settings: Settings) -> None:
        super().__init__(load)
        self.job = RecordJob(self.marker, settings)

    def work(self, task: Task) -> Any:
        assert isinstance(task, _RecordTask)
        loaded = load_for_record(self.job.settings, task.source, task.target, task.record)
        return finish_record(self.job, loaded, task.record)


class _DetectWorker(Worker):
    def __init__(self, load: Load, thorough: bool, frames: bool) -> None:
        super().__init__(load)
        self.thorough, self.frames = thorough, frames

    def work(self, task: Task) -> Examined:
        pictures = to_read(read_frames(task.source)) if self.frames else (read_picture(task.source),)
        return examine(self.marker, *pictures, thorough=self.thorough)
