"""The words in use in registries: what a mark that was read is compared with, and the labels it may have."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from payload.layout import Words
from payload.registry.entry import IN_USE, TAKEN_BACK, Entry
from wam.signal.label import Label

if TYPE_CHECKING:  # whoever reads without a registry does not wait for SQLAlchemy
    from payload.registry import Registry

Registries: TypeAlias = "Registry | Sequence[Registry] | None"  # that are asked, in order

WORDS_SECONDS = 60.0  # how old the list may be: reading it takes long in a large registry


def label_of(registry: Registry, entry: Entry) -> Label | None:
    """The label that marks of an entry have; None for a plain one."""
    return Label(int.from_bytes(registry.namespace, "big"), entry.generation) if entry.labelled else None


def labels_of(registry: Registry) -> tuple[Label, ...]:
    """The labels that marks of a registry may have, the newest generation first."""
    generations = registry.giving.labelled
    namespace = int.from_bytes(registry.namespace, "big") if generations else 0
    return tuple(Label(namespace, generation) for generation in reversed(generations))


@dataclass(frozen=True)
class _Listed:
    """What was read of the registries, and when: the labels in use, each once, the words of those asked for, and the
    number of fingerprints, None until it is asked for."""

    labels: tuple[Label, ...] = ()
    words: dict[Label | None, Words] = field(default_factory=dict)
    read_at: float = 0.0
    fingerprints: int | None = None


class RegisteredWords:
    """The words in use in one or several registries, read again when they are older than ``seconds``; safe for threads.

    ``registry`` None, or none of them: there is none to ask. In another process it is the list as it was when it went
    there, without the registries.
    """

    def __init__(self, registry: Registries = None, *, seconds: float = WORDS_SECONDS) -> None:
        self.registries = () if registry is None else tuple(registry) if isinstance(registry, Sequence) else (registry,)
        self._seconds = seconds
        self._lock = threading.Lock()
        self._listed: _Listed | None = None

    def __getstate__(self) -> dict[str, Any]:
        words = {label: self.get(label=label) for label in (None, *self.labels)}
        known = {label: found for label, found in words.items() if found is not None}
        return {"listed": _Listed(self.labels, known) if known else None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__()  # type: ignore[misc]
        self._listed = state["listed"]

    @property
    def labels(self) -> tuple[Label, ...]:
        """Those that marks of these registries may have besides none."""
        with self._lock:
            return self._current().labels

    def get(self, *, label: Label | None = None, renew: bool = False) -> Words | None:
        """(N,) uint32 in use under a label, or under none; None without a registry. ``renew``: read now, however new
        the list is."""
        with self._lock:
            listed = self._current(renew=renew)
            if label not in listed.words and self.registries:
                listed.words[label] = self._read(label)
            return listed.words.get(label)

    @property
    def fingerprints(self) -> int:
        """How many pictures can be found by their fingerprints; counted as seldom as the words are read."""
        with self._lock:
            listed = self._current()
            if listed.fingerprints is None:
                count = sum(registry.fingerprints for registry in self.registries)
                self._listed = listed = replace(listed, fingerprints=count)
            return listed.fingerprints or 0

    def _current(self, *, renew: bool = False) -> _Listed:
        """What is known, read anew where it is too old."""
        now = time.monotonic()
        if self._listed is None:
            renew = True
        elif self.registries:
            renew = renew or now - self._listed.read_at > self._seconds
        if renew:
            labels = dict.fromkeys(label for registry in self.registries for label in labels_of(registry))
            self._listed = _Listed(tuple(labels), read_at=now)
        assert self._listed is not None
        return self._listed

    def _read(self, label: Label | None) -> Words:
        """One list, so that a word of any of them is weighed against all others, and its chance counts all of them."""
        if label is None:
            lists = [registry.words() for registry in self.registries]
        else:
            lists = [registry.words(labelled=label.generation) for registry in self._of(label)]
        return lists[0] if len(lists) == 1 else np.unique(np.concatenate([np.empty(0, np.uint32), *lists]))

    def _of(self, label: Label) -> Iterable[Registry]:
        """The registries with the namespace of a label: a registry, and what its exports were read into."""
        return [one for one in self.registries if int.from_bytes(one.namespace, "big") == label.namespace]

    def find(self, word: int, *, label: Label | None = None) -> list[tuple[str, Entry]]:
        """The entries of a word that was read under a label, or none, in the order of the registries, each with its
        registry's name: those in use first, then those that were taken back."""
        if label is None:
            found = [(registry.name, registry.find(word)) for registry in self.registries]
        else:
            found = [(one.name, one.find(word, generation=label.generation)) for one in self._of(label)]
        known = [(name, entry) for name, entry in found if entry is not None and entry.labelled == (label is not None)]
        return sorted(known, key=lambda one: one[1].state not in IN_USE)

    @property
    def taken_back(self) -> int:
        """How many records of the registries were withdrawn or erased."""
        counts = [registry.counts() for registry in self.registries]
        return sum(each.get(state, 0) for each in counts for state in TAKEN_BACK)

    def and_own(self, word: int, *, label: Label | None = None) -> Words:
        """The words under a label, or none, with one that was registered just now."""
        words = self.get(label=label)
        own = np.array([word], dtype=np.uint32)
        if words is None:
            return own
        return words if (words == own).any() else np.append(words, own)  # no sorting: a million words may be in use
