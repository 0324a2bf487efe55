"""What an engine says of each input, in input order, whichever engine it is."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from payload.layout import Words
from payload.registry import Registry
from wam.jobs.plan import Item, Source
from wam.models.protocol import SearchSummary
from wam.pipeline.loaded import record_name
from wam.pipeline.mark_link import EmbedResult
from wam.pipeline.mark_record import RecordResult
from wam.pipeline.read import AnyReading
from wam.provenance.aigc_label import Label, label_agrees

WORDS_SECONDS = 60.0  # how old the list of registered words may be: reading it takes long in a large registry


@dataclass(frozen=True)
class EmbedOutcome:
    """One of three: ``result`` of a file now marked, ``earlier`` line of one that was done before, ``error``."""

    item: Item
    result: EmbedResult | RecordResult | None = None
    earlier: dict[str, Any] | None = None
    error: Exception | None = None


@dataclass(frozen=True)
class DetectOutcome:
    """``readings`` of a file, its size in pixels, the ``label`` in its metadata and what the ``searches`` of its frames
    did, or ``error``."""

    source: Source
    width: int | None = None
    height: int | None = None
    readings: tuple[AnyReading, ...] = ()
    error: Exception | None = None
    label: Label | None = None
    searches: tuple[SearchSummary, ...] = ()

    @property
    def label_agrees(self) -> bool | None:
        """Whether a watermark says what the label says; None where nothing can be compared."""
        if self.label is None:
            return None
        return label_agrees(self.label, [_stated(reading) for reading in self.readings])


def _stated(reading: AnyReading) -> tuple[str | None, str | None, str | None]:
    """What a label on a watermark would say: name, message and owner, as far as they are known."""
    if reading.record is None:
        return reading.link, reading.message, None
    return reading.link or record_name(reading.record), reading.message, reading.record.owner


class RegisteredWords:
    """The words in use in a registry, read again every ``WORDS_SECONDS``; safe for threads."""

    def __init__(self, registry: Registry | None) -> None:
        self._registry = registry
        self._lock = threading.Lock()
        self._words: Words | None = None
        self._read_at = 0.0

    def get(self) -> Words | None:
        """(N,) uint32, or None without a registry."""
        if self._registry is None:
            return None
        with self._lock:
            if self._words is None or time.monotonic() - self._read_at > WORDS_SECONDS:
                self._words, self._read_at = self._registry.words(), time.monotonic()
            return self._words

    def and_own(self, word: int) -> Words:
        """The same with a word that was registered just now."""
        words = self.get()
        own = np.array([word], dtype=np.uint32)
        if words is None:
            return own
        return words if (words == own).any() else np.append(words, own)  # no sorting: a million words may be in use
