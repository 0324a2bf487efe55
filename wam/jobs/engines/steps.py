"""The steps of one file that every engine takes: read it to be marked, write it whole when it is."""

from __future__ import annotations

import os

from wam.jobs.modes import Written
from wam.pictures.storage import Location, exists, fetch, write_content
from wam.pipeline.loaded import Loaded, load
from wam.pipeline.marked import MarkedFile
from wam.pipeline.options import MarkOptions


def load_item(source: Location, target: Location, options: MarkOptions) -> Loaded:
    """A picture that can be marked; raises ``ImageError`` if it cannot be read, marked or written as named."""
    content, name = fetch(source)
    return load(content, name=name, target=os.fspath(target), frames=options.frames)


def write_marked(marked: MarkedFile, source: Location, target: Location, *, make_folders: bool) -> Written:
    """Writes a marked file whole or not at all."""
    replaced = target != source and exists(target)
    write_content(target, marked.content, make_folders=make_folders)
    return Written(marked.report, replaced)
