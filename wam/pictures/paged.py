"""Pixels of very large pictures that wait in a file without a name: memory that the system has back while they do.

Marking looks at a picture as it was, as it is marked and as it was saved, one after the other, and so holds but what it
looks at. Where no such file can be made, the pixels stay in memory.
"""

from __future__ import annotations

import ctypes
import mmap
import tempfile
from contextlib import suppress
from typing import Any

import numpy as np

from wam.pictures.colour import strips
from wam.pictures.samples import Pixels

LARGE = 150_000_000  # bytes from which pixels are kept so: 50 megapixels


def paged(pixels: Pixels, *, least: int = LARGE) -> Pixels:
    """The same pixels, not to be written to; those of ``least`` bytes or more in a file."""
    if pixels.nbytes < least:
        return pixels
    try:
        with tempfile.TemporaryFile() as file:
            for rows in strips(len(pixels), pixels[0].size):
                file.write(np.ascontiguousarray(pixels[rows]).data)  # written and not mapped: a full disk is an error
            file.flush()
            held = mmap.mmap(file.fileno(), pixels.nbytes)
    except OSError:
        return pixels
    _trim()
    return np.frombuffer(held, pixels.dtype).reshape(pixels.shape)


def let_go(pixels: Pixels) -> None:
    """Gives back the memory of pixels that are in a file, until they are looked at again."""
    held: Any = pixels
    while held is not None and not isinstance(held, mmap.mmap):
        held = held.obj if isinstance(held, memoryview) else getattr(held, "base", None)
    if held is not None and hasattr(mmap, "MADV_DONTNEED"):
        held.madvise(mmap.MADV_DONTNEED)
        _trim()


def _trim() -> None:
    """Gives back what decoders have freed: glibc keeps a gigabyte of it after pictures of 100 megapixels. Elsewhere
    there is no such call."""
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
