"""What a worker process is made of, and its first step. No torch here: the process that serves never imports it."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from wam.models.convolutions import keep_few_convolutions

if TYPE_CHECKING:
    from wam.watermarker import Watermarker

FORKSERVER = "forkserver"
WORK = "wam.service.work"
VISIBLE = "CUDA_VISIBLE_DEVICES"
LEAST = 2  # workers
BATCH = 8  # pictures that a worker reads together on a GPU
COUNT_SECONDS = 120.0  # for a process to say what there is: it imports torch


@dataclass(frozen=True)
class Setup:
    """What a worker is made of: ``load`` makes the model, ``registry`` is where its words are, None for the user's own;
    pictures of more than ``max_pixels``, and animations of more than ``max_frames``, are refused. ``gpus``: names of
    those that workers are spread over, empty where the networks run elsewhere."""

    load: Callable[[], Watermarker]
    registry: str | None
    max_pixels: int
    max_frames: int
    gpus: tuple[str, ...] = ()


@dataclass(frozen=True)
class Accelerators:
    """What the networks may run on beside CPUs: ``gpus`` of CUDA as their driver takes them, and whether there is
    Apple's."""

    gpus: tuple[str, ...] = ()
    mps: bool = False


def begin(connection: Connection, setup: Setup, place: int) -> None:
    """The life of the worker at a place among others."""
    gpu = gpu_of(place, setup.gpus)
    if gpu is not None:
        os.environ[VISIBLE] = gpu  # before anything of CUDA is asked, which looks once
    keep_few_convolutions()
    from wam.service.work import work

    work(connection, setup)


def default_workers(device: str, cpus: int, found: Accelerators) -> int:
    """How many workers a service has for a ``device`` (auto, cpu, cuda, mps): one for each GPU, since two that share
    one hold its memory twice and wait for one another; one for each CPU where the networks run there. Two at least:
    one of them is for short pictures, so that a long search holds nobody up.

    >>> two = Accelerators(gpus=("0", "1"))
    >>> default_workers("auto", 8, two), default_workers("cuda", 8, two), default_workers("cpu", 8, two)
    (2, 2, 8)
    >>> default_workers("auto", 8, Accelerators()), default_workers("auto", 8, Accelerators(mps=True))
    (8, 2)
    >>> default_workers("cuda", 8, Accelerators()), default_workers("cpu", 1, two)
    (2, 2)
    """
    if device == "cpu" or (device == "auto" and not found.gpus and not found.mps):
        return max(LEAST, cpus)
    return max(LEAST, len(found.gpus)) if device != "mps" else LEAST


def default_batch(device: str, found: Accelerators) -> int:
    """How many pictures a worker reads together: several on a GPU; on CPUs it would gain nothing.

    >>> default_batch("auto", Accelerators(gpus=("0",))), default_batch("cpu", Accelerators(gpus=("0",)))
    (8, 1)
    >>> default_batch("auto", Accelerators()), default_batch("mps", Accelerators(mps=True))
    (1, 8)
    """
    return BATCH if device != "cpu" and (found.gpus or found.mps) else 1


def gpu_of(place: int, gpus: Sequence[str]) -> str | None:
    """The GPU of the worker at a place: each has one, whatever their number.

    >>> [gpu_of(place, ("0", "2")) for place in range(3)], gpu_of(0, ())
    (['0', '2', '0'], None)
    """
    return gpus[place % len(gpus)] if gpus else None


def names_of(count: int, environment: Mapping[str, str]) -> tuple[str, ...]:
    """The names of so many GPUs that are visible: as the user has named them, or by number.

    >>> names_of(2, {}), names_of(2, {"CUDA_VISIBLE_DEVICES": "3,GPU-8a1b"}), names_of(0, {"CUDA_VISIBLE_DEVICES": ""})
    (('0', '1'), ('3', 'GPU-8a1b'), ())
    """
    named = [name.strip() for name in environment.get(VISIBLE, "").split(",") if name.strip()]
    return tuple(named[:count]) if len(named) >= count else tuple(map(str, range(count)))


def accelerators() -> Accelerators:
    """What there is on this machine, asked by a process of its own; none where it does not say."""
    context = start_context()
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_count, args=(there,), daemon=True, name="wam-service-count")
    process.start()
    there.close()
    try:
        count, mps = here.recv() if here.poll(COUNT_SECONDS) else (0, False)
    except EOFError:
        count, mps = 0, False
    finally:
        here.close()
        process.kill()
        process.join()
    return Accelerators(names_of(int(count), os.environ), bool(mps))


def _count(connection: Connection) -> None:
    import torch

    connection.send((torch.cuda.device_count(), torch.backends.mps.is_available()))


def start_context() -> Any:
    """How workers are started: never from this process, which has threads and open connections. A server that has
    imported what they need makes them in a moment, where the system has such."""
    if FORKSERVER not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context(FORKSERVER)
    context.set_forkserver_preload([WORK])
    return context
