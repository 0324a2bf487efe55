"""The engine of many machines: the same steps on Ray Data.

Ids are reserved before the work is handed out and confirmed as it comes back, both here, where registry and manifest
are. Workers only read, mark and write; one that dies is replaced and its files are marked again with the same ids. They
need the toolkit installed, and every input and output under the same path or URL.
"""

from __future__ import annotations

import logging
import os
import pickle
import socket
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from payload.entry import Entry
from payload.layout import Words
from payload.registry import Registry
from wam.errors import ImageError, WamError, show_name
from wam.jobs.frames import to_read
from wam.jobs.ledger import Ledger
from wam.jobs.marking import finish, load, mark
from wam.jobs.outcome import DetectOutcome, EmbedOutcome, RegisteredWords
from wam.jobs.plan import Item, PlanError, Source
from wam.jobs.reading import Examined, examine, judge
from wam.jobs.storage import Location, read_frames, read_picture
from wam.marker import Watermarker

WAVE = 2000  # files that are handed out at a time
BLOCK = 8  # files to a block, which is what is done again when a worker dies
KNOCK_SECONDS = 5.0  # that a cluster may take to accept a connection
INSTALL = 'pip install "ray[data]"  # the extra [ray]'

Load = Callable[[], Watermarker]


@dataclass(frozen=True)
class Cluster:
    """Where to run. ``address`` of a Ray cluster, None starts one here; ``workers`` None is one for each CPU (or GPU);
    ``load`` makes the model in a worker, so it must be picklable."""

    load: Load
    address: str | None = None
    workers: int | None = None


@dataclass(frozen=True)
class _Task:
    """One file to mark with a word."""

    index: int
    source: Location
    target: Location
    word: int
    label: str | None = None


def embed_on_cluster(
    cluster: Cluster,
    ledger: Ledger,
    items: Sequence[Item],
    *,
    strength: float | None = None,
    resume: bool = False,
    frames: bool = False,
    label: bool = False,
) -> Generator[EmbedOutcome]:
    """Marks all items, in order; as ``embed_locally``."""
    for item in items:
        _absolute(item.source.location)  # refuses what no worker can read before anything is done
    with _connected(cluster) as ray:
        for start in range(0, len(items), WAVE):
            wave = items[start : start + WAVE]
            yield from _embed_wave(ray, cluster, ledger, wave, strength, resume, frames, label)


def _embed_wave(
    ray: Any,
    cluster: Cluster,
    ledger: Ledger,
    items: Sequence[Item],
    strength: float | None,
    resume: bool,
    frames: bool,
    label: bool,
) -> Generator[EmbedOutcome]:
    known: dict[int, EmbedOutcome] = {}
    for index, item in enumerate(items):
        earlier = ledger.finished(item) if resume and item.problem is None else None
        if item.problem is not None:
            known[index] = EmbedOutcome(item, error=ValueError(item.problem))
        elif earlier is not None:
            known[index] = EmbedOutcome(item, earlier=earlier)
    todo = [index for index in range(len(items)) if index not in known]
    entries = dict(zip(todo, ledger.begin(*(items[index] for index in todo)), strict=True))
    tasks = [
        _Task(
            i,
            _absolute(items[i].source.location),
            _absolute(items[i].target),
            entries[i].word,
            entries[i].record.owner if label else None,
        )
        for i in todo
    ]
    settings = {"load": cluster.load, "strength": strength, "words": ledger.registry.words(), "frames": frames,
                "make_folders": ledger.manifest is not None}  # fmt: skip
    results = _run(ray, cluster, _EmbedWorker, settings, tasks)
    for index in range(len(items)):
        while index not in known:
            number, result = next(results)
            known[number] = _settle(ledger, items[number], entries[number], result)
        yield known.pop(index)


def _settle(ledger: Ledger, item: Item, entry: Entry, result: Any) -> EmbedOutcome:
    """Confirms what a worker wrote, gives up the id of what it could not write."""
    if isinstance(result, Exception):
        ledger.abandon(entry)
        return EmbedOutcome(item, error=result)
    try:
        return EmbedOutcome(item, ledger.complete(item, entry, result))
    except Exception as error:
        return EmbedOutcome(item, error=error)


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
    with _connected(cluster) as ray:
        for start in range(0, len(sources), WAVE):
            wave = sources[start : start + WAVE]
            tasks = [(index, _absolute(source.location)) for index, source in enumerate(wave)]
            results = _run(
                ray, cluster, _DetectWorker, {"load": cluster.load, "thorough": thorough, "frames": frames}, tasks
            )
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
    return DetectOutcome(source, result.width, result.height, tuple(readings), label=result.label)


class _Worker:
    """An actor with a model of its own. A batch is {"task": pickled tasks} -> {"result": pickled (index, result)}."""

    def __init__(self, load: Load) -> None:
        torch.set_num_threads(1)
        self.marker = load()

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[bytes]]:
        return {"result": [pickle.dumps(self._safely(pickle.loads(task))) for task in batch["task"]]}

    def _safely(self, task: Any) -> tuple[int, Any]:
        index, source = (task.index, task.source) if isinstance(task, _Task) else task
        try:
            return index, self.work(task)
        except Exception as error:
            return index, _portable(error, source)

    def work(self, task: Any) -> Any:
        """The result of one task; whatever it raises is the result too."""
        raise NotImplementedError


class _EmbedWorker(_Worker):
    def __init__(self, load: Load, strength: float | None, words: Words, make_folders: bool, frames: bool) -> None:
        super().__init__(load)
        self.strength, self.words, self.make_folders, self.frames = strength, words, make_folders, frames

    def work(self, task: _Task) -> Any:
        loaded = load(task.source, task.target, frames=self.frames, label=task.label)
        (pixels,) = mark(self.marker, [loaded], [task.word], self.strength)
        return finish(self.marker, loaded, pixels, task.word, self.words, make_folders=self.make_folders)


class _DetectWorker(_Worker):
    def __init__(self, load: Load, thorough: bool, frames: bool) -> None:
        super().__init__(load)
        self.thorough, self.frames = thorough, frames

    def work(self, task: tuple[int, Location]) -> Examined:
        pictures = to_read(read_frames(task[1])) if self.frames else (read_picture(task[1]),)
        return examine(self.marker, *pictures, thorough=self.thorough)


def _run(
    ray: Any, cluster: Cluster, worker: type[_Worker], settings: dict[str, Any], tasks: Sequence[Any]
) -> Iterator[tuple[int, Any]]:
    """Results with their indices, as they come."""
    if not tasks:
        return
    resources = ray.cluster_resources()
    gpus = int(resources.get("GPU", 0))
    workers = min(cluster.workers or gpus or int(resources.get("CPU", 1)), len(tasks))
    rows = [{"task": pickle.dumps(task)} for task in tasks]
    blocks = max(workers, -(-len(rows) // BLOCK))
    results = ray.data.from_items(rows, override_num_blocks=min(blocks, len(rows))).map_batches(
        worker,
        fn_constructor_kwargs=settings,
        batch_size=None,  # a block at a time
        compute=ray.data.ActorPoolStrategy(size=workers),
        num_cpus=1,
        num_gpus=1 if gpus else 0,
    )
    for row in results.iter_rows():
        yield pickle.loads(row["result"])


@contextmanager
def _connected(cluster: Cluster) -> Iterator[Any]:
    """Ray, connected and quiet; what was started here is stopped again."""
    os.environ.setdefault("RAY_DATA_DISABLE_PROGRESS_BARS", "1")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise PlanError(f"--engine ray: expected Ray, found none; run: {INSTALL}") from error
    started = not ray.is_initialized()
    if started:
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        if cluster.address is None:
            quiet["include_dashboard"] = False
        try:
            _knock(cluster.address)
            ray.init(address=cluster.address, **quiet)
        except Exception as error:  # of Ray, gRPC or the address's own parts
            found = show_name(str(error).splitlines()[0]) if str(error) else type(error).__name__
            raise PlanError(
                f"--address {cluster.address or 'of a new cluster'}: expected a Ray cluster, found: {found}; check it"
            ) from error
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    for name in ("ray.data", "ray"):
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        yield ray
    finally:
        if started:
            ray.shutdown()


def _knock(address: str | None) -> None:
    """Raises ``OSError`` if nobody listens at HOST:PORT: Ray would try for five minutes."""
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=KNOCK_SECONDS).close()


def _absolute(location: Location) -> Location:
    """A place that means the same in a worker's folder."""
    if location == "-":
        raise PlanError("-: expected files or URLs with --engine ray, found standard input; use the local engine")
    return Path(os.path.abspath(location)) if isinstance(location, Path) else location


def _portable(error: Exception, source: Location) -> Exception:
    """An error that survives the way back; others are told by their text."""
    try:
        again = pickle.loads(pickle.dumps(error))
        if str(again) == str(error):
            return error
    except Exception:
        pass
    name, text = show_name(str(source)), show_name(str(error))
    return ImageError(text) if isinstance(error, WamError) else ImageError(f"{name}: {text}")
