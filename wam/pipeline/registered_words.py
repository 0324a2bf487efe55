"""The words in use in a registry: what a mark that was read is compared with."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np

from payload.layout import Words
from payload.registry import Registry

WORDS_SECONDS = 60.0  # how old the list may be: reading it takes long in a large registry


class RegisteredWords:
    """The words in use in a registry, read again when they are older than ``seconds``; safe for threads.

    ``registry`` None: there is none to ask. In another process it is the list as it was when it went there, without
    the registry.
    """

    def __init__(self, registry: Registry | None = None, *, seconds: float = WORDS_SECONDS) -> None:
        self.registry = registry
        self._seconds = seconds
        self._lock = threading.Lock()
        self._words: Words | None = None
        self._read_at = 0.0

    def __getstate__(self) -> dict[str, Any]:
        return {"words": self.get()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__()  # type: ignore[misc]
        self._words = state["words"]

    def get(self, *, renew: bool = False) -> Words | None:
        """(N,) uint32, or None without a registry; ``renew``: read now, however new the list is."""
        if self.registry is None:
            return self._words
        with self._lock:
            if renew or self._words is None or time.monotonic() - self._read_at > self._seconds:
                self._words, self._read_at = self.registry.words(), time.monotonic()
            return self._words

    def and_own(self, word: int) -> Words:
        """The same with a word that was registered just now."""
        words = self.get()
        own = np.array([word], dtype=np.uint32)
        if words is None:
            return own
        return words if (words == own).any() else np.append(words, own)  # no sorting: a million words may be in use
