"""The engine of many machines: the same steps on Ray Data.

Files are reserved before the work is handed out and settled as it comes back, both here, where registry and manifest
are. Workers only read, mark and write; one that dies is replaced and its files are marked again with what was reserved.
They need the toolkit installed, and every input and output under the same path or URL.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from payload import Record
from wam.jobs.engines.ray_pool import Cluster, Load, Task, Worker, absolute, connected, run_tasks
from wam.jobs.engines.steps import load_item, open_source, write_marked
from wam.jobs.modes import MarkMode, Reservation, Written, earlier_line
from wam.jobs.outcome import DetectOutcome, EmbedOutcome
from wam.jobs.plan import Item, Source
from wam.models.effort import USUAL, Effort
from wam.pictures.storage import Location, digest_of, fetch
from wam.pipeline.marking import Marking, Request, mark_one
from wam.pipeline.read import Examined, ReadSteps, judge
from wam.pipeline.registered_words import RegisteredWords, Registries
from wam.signal.label import Label

WAVE = 2000  # files that are handed out at a time


@dataclass(frozen=True)
class _MarkTask(Task):
    """One file to mark with a record; ``word`` that stands for it in link mode."""

    target: Location
    record: Record
    word: int | None
    label: Label | None


@dataclass(frozen=True)
class _DetectTask(Task):
    """One file to read: the ``whole`` of its source."""

    whole: Source


def embed_on_cluster(
    cluster: Cluster, mode: MarkMode, items: Sequence[Item], *, resume: bool = False
) -> Generator[EmbedOutcome]:
    """Marks all items in the mode given, in order; as ``embed_locally``."""
    for item in items:
        absolute(item.source.location)  # refuses what no worker can read before anything is done
    with connected(cluster) as ray:
        for start in range(0, len(items), WAVE):
            yield from _embed_wave(ray, cluster, mode, items[start : start + WAVE], resume)


def _embed_wave(
    ray: Any, cluster: Cluster, mode: MarkMode, items: Sequence[Item], resume: bool
) -> Generator[EmbedOutcome]:
    known: dict[int, EmbedOutcome] = {}
    todo: list[int] = []
    for index, item in enumerate(items):
        try:
            earlier = earlier_line(mode, item, resume=resume)
            if earlier is None:
                todo.append(index)
            else:
                known[index] = EmbedOutcome(item, earlier=earlier)
        except Exception as error:
            known[index] = EmbedOutcome(item, error=error)
    try:
        digests = _digests(ray, cluster, items, todo) if mode.by_digest else [None] * len(todo)
        reserved = dict(zip(todo, mode.reserve([items[index] for index in todo], digests), strict=True))
    except Exception as error:
        known |= {index: EmbedOutcome(items[index], error=error) for index in todo}
        reserved, todo = {}, []
    tasks = [_task(index, items[index], reserved[index]) for index in todo]
    options = {"load": cluster.load, "marking": mode.marking, "make_folders": mode.journal.manifest is not None}
    results = run_tasks(ray, cluster, _MarkWorker, options, tasks)
    for index in range(len(items)):
        while index not in known:
            number, result = next(results)
            known[number] = _settled(mode, items[number], reserved[number], result)
        yield known.pop(index)


def _digests(ray: Any, cluster: Cluster, items: Sequence[Item], todo: Sequence[int]) -> list[str | None]:
    """What the sources hold, read where they are marked later; None for one that cannot be read, which marking says."""
    tasks = [Task(index, absolute(items[index].source.location)) for index in todo]
    found = dict(run_tasks(ray, cluster, _DigestWorker, {}, tasks))
    return [found[index] if isinstance(found[index], str) else None for index in todo]


def _task(index: int, item: Item, reservation: Reservation) -> _MarkTask:
    source, target = absolute(item.source.location), absolute(item.target)
    return _MarkTask(index, source, target, reservation.record, reservation.word, reservation.label)


def _settled(mode: MarkMode, item: Item, reservation: Reservation, result: Any) -> EmbedOutcome:
    """Enters what a worker wrote, gives up what was reserved for a file that it could not write."""
    if isinstance(result, Exception):
        mode.abandon(reservation)
        return EmbedOutcome(item, error=result)
    try:
        return EmbedOutcome(item, mode.settle(item, reservation, result))
    except Exception as error:
        return EmbedOutcome(item, error=error)


def detect_on_cluster(
    cluster: Cluster,
    registry: Registries,
    sources: Iterable[Source],
    *,
    effort: Effort = USUAL,
    frames: bool = False,
    similar: int = 0,
) -> Generator[DetectOutcome]:
    """Reads all sources, in order; as ``detect_locally``, without pictures. They are asked for a wave at a time."""
    words = RegisteredWords(registry)
    options = {"load": cluster.load, "effort": effort, "frames": frames, "labels": words.labels, "similar": similar}
    with connected(cluster) as ray:
        rest = iter(sources)
        while wave := list(islice(rest, WAVE)):
            tasks = [_DetectTask(index, absolute(source.location), source) for index, source in enumerate(wave)]
            results = run_tasks(ray, cluster, _DetectWorker, options, tasks)
            known: dict[int, Any] = {}
            for index, source in enumerate(wave):
                while index not in known:
                    number, result = next(results)
                    known[number] = result
                yield _judged(source, known.pop(index), words)


def _judged(source: Source, result: Any, words: RegisteredWords) -> DetectOutcome:
    if isinstance(result, Exception):
        return DetectOutcome(source, error=result)
    assert isinstance(result, Examined)
    try:
        return DetectOutcome(source, judge(result, words))
    except Exception as error:
        return DetectOutcome(source, error=error)


class _DigestWorker(Worker):
    """Needs no model."""

    def __init__(self) -> None:
        pass

    def work(self, task: Task) -> str:
        return digest_of(fetch(task.source)[0])


class _MarkWorker(Worker):
    def __init__(self, load: Load, marking: Marking, make_folders: bool) -> None:
        super().__init__(load)
        self.marking, self.make_folders = marking, make_folders

    def work(self, task: Task) -> Written:
        assert isinstance(task, _MarkTask)
        loaded = load_item(task.source, task.target, self.marking.options)
        marked = mark_one(self.marker, self.marking, Request(loaded, task.record, task.word, task.label))
        return write_marked(marked, task.source, task.target, make_folders=self.make_folders)


class _DetectWorker(Worker):
    def __init__(self, load: Load, effort: Effort, frames: bool, labels: tuple[Label, ...], similar: int) -> None:
        super().__init__(load)
        self.steps = ReadSteps(self.marker, effort=effort, frames=frames, labels=labels, similar=similar)

    def work(self, task: Task) -> Examined:
        assert isinstance(task, _DetectTask)
        return self.steps.examine(open_source(self.steps, replace(task.whole, location=task.source)))
