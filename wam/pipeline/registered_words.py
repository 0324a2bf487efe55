"""The words in use in registries: what a mark that was read is compared with."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from payload.layout import Words
from payload.registry import Registry
from payload.registry.entry import IN_USE, Entry

Registries = Registry | Sequence[Registry] | None  # that are asked, in order

WORDS_SECONDS = 60.0  # how old the list may be: reading it takes long in a large registry


class RegisteredWords:
    """The words in use in one or several registries, read again when they are older than ``seconds``; safe for threads.

    ``registry`` None, or none of them: there is none to ask. In another process it is the list as it was when it went
    there, without the registries.
    """

    def __init__(self, registry: Registries = None, *, seconds: float = WORDS_SECONDS) -> None:
        self.registries = () if registry is None else (registry,) if isinstance(registry, Registry) else tuple(registry)
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
        if not self.registries:
            return self._words
        with self._lock:
            if renew or self._words is None or time.monotonic() - self._read_at > self._seconds:
                self._words, self._read_at = self._read(), time.monotonic()
            return self._words

    def _read(self) -> Words:
        """One list, so that a word of any of them is weighed against all others, and its chance counts all of them."""
        lists = [registry.words() for registry in self.registries]
        return lists[0] if len(lists) == 1 else np.unique(np.concatenate(lists))

    def find(self, word: int) -> list[tuple[str, Entry]]:
        """The entries of a word in the order of the registries, each with its registry's name: those in use first,
        then those that were taken back."""
        found = [(registry.name, registry.find(word)) for registry in self.registries]
        known = [(name, entry) for name, entry in found if entry is not None]
        return sorted(known, key=lambda one: one[1].state not in IN_USE)

    def and_own(self, word: int) -> Words:
        """The same with a word that was registered just now."""
        words = self.get()
        own = np.array([word], dtype=np.uint32)
        if words is None:
            return own
        return words if (words == own).any() else np.append(words, own)  # no sorting: a million words may be in use
