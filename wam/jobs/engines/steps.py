"""The steps of one file that every engine takes: load it to be marked, write it when it is, open it to be read."""

from __future__ import annotations

import os
import threading

from wam.jobs.modes import Written
from wam.jobs.plan import Source
from wam.pictures.samples import Picture
from wam.pictures.storage import Location, exists, fetch, write_content
from wam.pipeline.loaded import Loaded, load, named
from wam.pipeline.marked import MarkedFile
from wam.pipeline.options import MarkOptions
from wam.pipeline.read import ReadSteps


def load_item(source: Location, target: Location, options: MarkOptions) -> Loaded:
    """A picture that can be marked; raises ``ImageError`` if it cannot be read, marked or written as named."""
    content, name = fetch(source)
    return load(content, name=name, target=os.fspath(target), frames=options.frames, keep=options.c2pa)


class LoadOnce:
    """As ``load_item`` of items that have one source: it is read and decoded for the first of them. Safe for
    threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._source: Location | None = None
        self._loaded: Loaded | None = None

    def __call__(self, source: Location, target: Location, options: MarkOptions) -> Loaded:
        with self._lock:
            if self._loaded is None or source != self._source:
                self._source, self._loaded = source, load_item(source, target, options)
            return named(self._loaded, os.fspath(target))


def write_marked(marked: MarkedFile, source: Location, target: Location, *, make_folders: bool) -> Written:
    """Writes a marked file whole or not at all."""
    replaced = target != source and exists(target)
    write_content(target, marked.content, make_folders=make_folders)
    return Written(marked.report, replaced)


def open_source(steps: ReadSteps, source: Source) -> tuple[Picture, ...]:
    """The pictures of a file that is to be read; raises ``ImageError`` if it cannot be."""
    if source.problem is not None:
        raise source.problem
    content, name = fetch(source.location)
    return steps.open(content, name=name)
