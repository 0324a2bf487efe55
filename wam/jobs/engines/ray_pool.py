"""Ray, kept apart from what is done on it: connecting, workers with a model each, tasks out and results back.

What a worker does for a task is `Worker.work`; whatever it raises is the task's result. A worker that dies is replaced,
and the tasks of its block are done again.
"""

from __future__ import annotations

import logging
import os
import pickle
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wam.errors import ImageError, WamError, show_name
from wam.jobs.plan import PlanError
from wam.pictures.storage import Location
from wam.watermarker import Watermarker

BLOCK = 8  # files to a block, which is what is done again when a worker dies
KNOCK_SECONDS = 5.0  # that a cluster may take to accept a connection
INSTALL = 'pip install "ray[data]"  # the extra [ray]'

Load = Callable[[], Watermarker]


@dataclass(frozen=True)
class Cluster:
    """Where to run. ``address`` of a Ray cluster, None starts one here; ``workers`` None is one for each CPU (or GPU);
    ``load`` makes the model in a worker's process, where it may set how many threads that uses; it has to be
    picklable."""

    load: Load
    address: str | None = None
    workers: int | None = None


@dataclass(frozen=True)
class Task:
    """One file: its place in the wave and where it is."""

    index: int
    source: Location


class Worker:
    """An actor with a model of its own. A batch is {"task": pickled tasks} -> {"result": pickled (index, result)}."""

    def __init__(self, load: Load) -> None:
        self.marker = load()

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[bytes]]:
        return {"result": [pickle.dumps(self._safely(pickle.loads(task))) for task in batch["task"]]}

    def _safely(self, task: Task) -> tuple[int, Any]:
        try:
            return task.index, self.work(task)
        except Exception as error:
            return task.index, _portable(error, task.source)

    def work(self, task: Any) -> Any:
        """The result of one task."""
        raise NotImplementedError


def run_tasks(
    ray: Any, cluster: Cluster, worker: type[Worker], settings: dict[str, Any], tasks: Sequence[Task]
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
def connected(cluster: Cluster) -> Iterator[Any]:
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


def absolute(location: Location) -> Location:
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
