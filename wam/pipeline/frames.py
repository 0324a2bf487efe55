"""Animations: all frames get one word, and reading one gathers the marks of all its frames."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from math import log10

import numpy as np
from numpy.typing import NDArray

from wam.pictures.animation import Animation
from wam.pictures.files import Picture
from wam.watermarker import Detection, Marked


def telling_frame(animation: Animation) -> Picture:
    """The first frame with about as much contrast as any: what an animation is measured, checked and known by."""
    contrasts = [float(picture.pixels[::4, ::4].std()) for picture in animation.pictures]
    return animation.pictures[next(place for place, one in enumerate(contrasts) if one >= 0.9 * max(contrasts))]


def to_read(animation: Animation) -> tuple[Picture, ...]:
    """All frames, the telling one first: its hash is the registered one."""
    first = telling_frame(animation)
    return first, *(picture for picture in animation.pictures if picture is not first)


def same_frame(animation: Animation, saved: Animation, picture: Picture) -> Picture:
    """The frame of ``saved`` in the place of ``picture``; a file may hold equal neighbours as one."""
    place = next(index for index, frame in enumerate(animation.pictures) if frame is picture)
    return saved.pictures[min(place, len(saved.pictures) - 1)]


def each_frame(animation: Animation, mark: Callable[[NDArray[np.uint8]], Marked]) -> NDArray[np.uint8]:
    """All frames as ``mark`` gives them back, (F, H, W, 3) uint8; a frame at a time, so that memory stays flat."""
    marked = np.empty((len(animation.pictures), *animation.pictures[0].pixels.shape), np.uint8)
    for place, picture in enumerate(animation.pictures):
        marked[place] = mark(picture.pixels).image
    return marked


def merge(frames: Iterable[Iterable[Detection]]) -> list[Detection]:
    """Marks of all frames, each message as it is surest, surest first; their chances count that many frames."""
    best: dict[str, Detection] = {}
    count = 0
    for frame in frames:
        count += 1
        for detection in frame:
            if detection.bits not in best or detection.score > best[detection.bits].score:
                best[detection.bits] = detection
    found = sorted(best.values(), key=lambda detection: -detection.score)
    return [replace(detection, log10_p=min(0.0, detection.log10_p + log10(count))) for detection in found]
