"""The list of registered words that an engine shares between its workers."""

from __future__ import annotations

from pathlib import Path

import pytest

from payload import Record
from payload.registry import Registry
from wam.jobs import outcome
from wam.jobs.outcome import RegisteredWords


def test_the_own_word_is_there_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = Registry.open(str(tmp_path / "registry.sqlite"))
    known = [registry.allocate(Record("1", "acme")).word for _ in range(3)]
    words = RegisteredWords(registry)
    assert sorted(words.and_own(known[1]).tolist()) == sorted(known)
    new = registry.allocate(Record("2", "acme")).word
    assert sorted(words.and_own(new).tolist()) == sorted([*known, new])  # the list is older
    monkeypatch.setattr(outcome, "WORDS_SECONDS", -1.0)
    assert sorted(words.and_own(new).tolist()) == sorted([*known, new])  # it is read again


def test_without_a_registry_there_is_only_the_own_word() -> None:
    assert RegisteredWords(None).get() is None
    assert RegisteredWords(None).and_own(7).tolist() == [7]
