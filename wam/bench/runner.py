"""Runs a plan: photo by photo, in several processes, each result kept as soon as it is there."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

import torch

from wam.bench.adversary_lines import price_of
from wam.bench.contenders import Contender
from wam.bench.judge import judge
from wam.bench.photos import round_to_bytes
from wam.bench.plan import Plan, Task
from wam.bench.quality import quality
from wam.bench.results import QUALITY, Result, ResultsFile
from wam.bench.rows import Row
from wam.bench.views import Stage
from wam.bench.words import WordBook
from wam.errors import WamError, show_name
from wam.networks.strength import Amount

Given = TypeVar("Given")
Found = TypeVar("Found")
Progress = Callable[[int, int], None]  # is told how many results there are, and how many there will be

_KEPT_STAGES = 2


class Workbench:
    """One process's share of the work: contenders and marked photos are made when they are first needed."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.book = WordBook.of(plan.seed)
        self._contenders: dict[int, Contender] = {}
        self._stages: dict[tuple[int, Amount, int], Stage] = {}

    def contender(self, index: int) -> Contender:
        """A contender of the plan, built once."""
        if index not in self._contenders:
            self._contenders[index] = self.plan.entrants[index].build()
        return self._contenders[index]

    def stage(self, entrant: int, strength: Amount, part: int) -> Stage:
        """A contender on one image set; the last ones are kept, with the photos they marked."""
        key = (entrant, strength, part)
        if key not in self._stages:
            while len(self._stages) >= _KEPT_STAGES:
                del self._stages[next(iter(self._stages))]
            images = self.plan.parts[part].images
            self._stages[key] = Stage(
                images, self.contender(entrant), self.book, seed=self.plan.seed, strength=strength
            )
        return self._stages[key]

    def run(self, task: Task) -> list[Result]:
        """All results of a task; whatever goes wrong is the error of the row where it does."""
        rows: list[Row | None] = [*([None] if task.quality else []), *task.rows]
        return [self._one(task, row) for row in rows]

    def _one(self, task: Task, row: Row | None) -> Result:
        key = self.plan.key(task, QUALITY if row is None else row.name)
        group = QUALITY if row is None else row.group
        try:
            stage = self.stage(task.entrant, task.strength, task.part)
            if row is None:
                return Result(key, group, task.number, _quality(stage, task.number))
            values, seconds = self._read(stage, row, task.number)
        except Exception as error:  # an attack that fails must not take the others with it
            text = show_name(str(error)) or type(error).__name__
            return Result(key, group, task.number, error=text)
        return Result(key, group, task.number, values, round(seconds, 3))

    def _read(self, stage: Stage, row: Row, number: int) -> tuple[dict[str, object], float]:
        view = stage.view(row, number)
        contender = stage.contender
        started = time.perf_counter()
        readings = contender.read_with_other_key(view.image) if view.other_key else contender.read(view.image)
        seconds = time.perf_counter() - started
        values = judge(view, readings, self.book, decides=contender.decides).to_dict()
        if view.price is not None:
            values["price"] = price_of(view.image, view.price)
        return values, seconds


def _quality(stage: Stage, number: int) -> dict[str, float | None]:
    original = stage.images.photo(number)
    values = quality(stage.marked(number), round_to_bytes(original))
    height, width = original.shape[-2:]
    return {**values, "width": width, "height": height}


def run_plan(plan: Plan, file: ResultsFile, *, workers: int = 1, report: Progress = lambda done, total: None) -> None:
    """Run what is not in the file yet, and put it there. Ctrl-C leaves what was done in the file."""
    tasks = plan.tasks(set(file.known), workers=workers)
    total = sum(len(task.rows) + task.quality for task in tasks)
    done = 0
    report(done, total)
    for results in run_each(plan, Workbench.run, tasks, workers=min(workers, len(tasks))):
        file.add(results)
        done += len(results)
        report(done, total)


def usual_workers(device: str) -> int:
    """One for each core this process may use on a CPU; one on a GPU."""
    return len(os.sched_getaffinity(0)) if device == "cpu" and hasattr(os, "sched_getaffinity") else 1


def run_each(
    plan: Plan, function: Callable[[Workbench, Given], Found], inputs: Sequence[Given], *, workers: int
) -> Iterator[Found]:
    """``function`` of a workbench and each input, as they are done; in several processes each has its own workbench.

    Function, inputs and results have to be picklable.
    """
    if workers <= 1:
        bench = Workbench(plan)
        yield from (function(bench, given) for given in inputs)
        return
    context = multiprocessing.get_context("spawn")  # a fork would copy torch's threads half
    pool = ProcessPoolExecutor(workers, context, _start_worker, (plan,))
    try:
        futures = [pool.submit(_run_in_worker, function, given) for given in inputs]
        for future in as_completed(futures):
            yield future.result()
    except BrokenProcessPool as error:
        raise WamError(
            "bench: expected the workers to go on, found one ended by the system (out of memory?); "
            "run the same command again with --workers 1, it goes on from there"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


_bench: Workbench | None = None


def _start_worker(plan: Plan) -> None:
    global _bench
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    torch.set_num_threads(1)
    _bench = Workbench(plan)


def _run_in_worker(function: Callable[[Workbench, Given], Found], given: Given) -> Found:
    assert _bench is not None
    return function(_bench, given)
