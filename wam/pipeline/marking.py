"""Several pictures through the networks together, each one's outcome by itself, whatever is put into them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from payload import Record
from wam.networks.strength import Amount
from wam.pictures.paged import paged
from wam.pipeline.frames import each_frame
from wam.pipeline.loaded import Loaded
from wam.pipeline.marked import MarkedFile
from wam.pipeline.options import MarkOptions
from wam.signal.label import Label
from wam.stages import tell
from wam.watermarker import Marked, Watermarker


@dataclass(frozen=True)
class Request:
    """One picture to mark with a record; ``word`` that stands for it in link mode, with the ``label`` of its registry
    and generation, None for a plain word."""

    loaded: Loaded
    record: Record
    word: int | None = None
    label: Label | None = None


class Marking(Protocol):
    """What goes into a picture and how it is checked: ``LinkMarking`` or ``RecordMarking``. Can go to other processes.

    It keeps no account of what was marked, and marking the same picture with the same request gives the same bytes.
    """

    @property
    def options(self) -> MarkOptions:
        """How pictures are marked."""
        ...

    def plan(self, marker: Watermarker, request: Request) -> Any:
        """What goes into the picture; raises ``WamError`` or ``PayloadError`` where it has no room."""
        ...

    def draw(
        self, marker: Watermarker, requests: Sequence[Request], plans: Sequence[Any], *, strength: Amount
    ) -> list[NDArray[np.uint8]]:
        """Marked pixels of each picture, (H, W, 3) uint8, with the frames of an animation in front."""
        ...

    def finish(self, marker: Watermarker, request: Request, plan: Any, pixels: NDArray[np.uint8]) -> MarkedFile:
        """Encodes and reads back as a stranger would; raises ``ImageError`` unless that is right."""
        ...


def draw_apart(
    requests: Sequence[Request],
    of_frame: Callable[[int, NDArray[np.uint8]], Marked],
    of_stills: Callable[[Sequence[int]], list[NDArray[np.uint8]]],
) -> list[NDArray[np.uint8]]:
    """Marked pixels of each request, known by its place: animations frame by frame, still pictures all together."""
    tell("marking")
    marked: dict[int, NDArray[np.uint8]] = {}
    still: list[int] = []
    for place, request in enumerate(requests):
        if request.loaded.animation is None:
            still.append(place)
        else:
            marked[place] = each_frame(request.loaded.animation, partial(of_frame, place))
    marked.update(zip(still, of_stills(still), strict=True))
    return [marked[place] for place in range(len(requests))]


def mark_one(marker: Watermarker, marking: Marking, request: Request) -> MarkedFile:
    """One marked picture; raises what stands in its way, a ``WamError`` or ``PayloadError`` for all that a user can
    change."""
    (outcome,) = mark_each(marker, marking, [request])
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def mark_each(marker: Watermarker, marking: Marking, requests: Sequence[Request]) -> Generator[MarkedFile | Exception]:
    """Each picture marked, or why it is not, in order; those that come to one working size share the networks.

    One after the other is encoded and checked as they are asked for, so that few are in memory.
    """
    plans: list[Any] = []
    refused: dict[int, Exception] = {}
    for index, request in enumerate(requests):
        try:
            plans.append(marking.plan(marker, request))
        except Exception as error:
            refused[index] = error
    planned = [request for index, request in enumerate(requests) if index not in refused]
    outcomes = _mark_planned(marker, marking, planned, plans)
    for index in range(len(requests)):
        yield refused[index] if index in refused else next(outcomes)


def _mark_planned(
    marker: Watermarker, marking: Marking, requests: Sequence[Request], plans: Sequence[Any]
) -> Generator[MarkedFile | Exception]:
    """All together; where that fails, one by one."""
    if not requests:
        return
    try:
        drawn = marking.draw(marker, requests, plans, strength=marking.options.strength)
        marked = [paged(pixels) for pixels in drawn]
        del drawn
    except Exception as error:
        if len(requests) == 1:
            yield error
            return
        for request, plan in zip(requests, plans, strict=True):
            yield from _mark_planned(marker, marking, [request], [plan])
        return
    for request, plan, pixels in zip(requests, plans, marked, strict=True):
        try:
            yield marking.finish(marker, request, plan, pixels)
        except Exception as error:
            yield error
