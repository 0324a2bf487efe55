"""One function on many inputs, by forked processes that share what is large: models, photos."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Generator, Iterable
from typing import Any, TypeVar

import torch

Shared = TypeVar("Shared")
Given = TypeVar("Given")
Found = TypeVar("Found")


def map_forked(
    function: Callable[[Shared, Given], Found], shared: Shared, inputs: Iterable[Given], *, workers: int
) -> Generator[Found]:
    """``function(shared, given)`` of each input, in order; with one worker in this process.

    ``shared`` is not copied: each process sees it as it is when the first result is asked for. A program that forks has
    to have set torch to one thread before; each worker does so for itself. Inputs and results are pickled.
    """
    if workers == 1:
        yield from (function(shared, given) for given in inputs)
        return
    _SHARED.append((function, shared))
    try:
        with multiprocessing.get_context("fork").Pool(workers, torch.set_num_threads, (1,)) as pool:
            yield from pool.imap(_run, inputs)
    finally:
        _SHARED.pop()


_SHARED: list[tuple[Callable[[Any, Any], Any], Any]] = []  # what workers read, as it was when they were forked


def _run(given: Any) -> Any:
    function, shared = _SHARED[-1]
    return function(shared, given)
