"""The list of registered words that an engine shares between its workers."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

from payload import Record
from payload.registry import Registry
from wam.pipeline.registered_words import RegisteredWords


def test_the_own_word_is_there_once(tmp_path: Path) -> None:
    registry = Registry.open(str(tmp_path / "registry.sqlite"))
    known = [registry.allocate(Record("1", "acme")).word for _ in range(3)]
    words = RegisteredWords(registry)
    assert sorted(words.and_own(known[1]).tolist()) == sorted(known)
    new = registry.allocate(Record("2", "acme")).word
    assert sorted(words.and_own(new).tolist()) == sorted([*known, new])  # the list is older
    newest = registry.allocate(Record("3", "acme")).word
    assert newest not in words.get()
    fresh = RegisteredWords(registry, seconds=-1.0)
    assert newest in fresh.get()
    latest = registry.allocate(Record("4", "acme")).word
    assert sorted(fresh.get().tolist()) == sorted([*known, new, newest, latest])  # it is read again


def test_another_process_gets_the_list_as_it_is(tmp_path: Path) -> None:
    registry = Registry.open(str(tmp_path / "registry.sqlite"))
    known = registry.allocate(Record("1", "acme")).word
    there = pickle.loads(pickle.dumps(RegisteredWords(registry)))
    registry.allocate(Record("2", "acme"))
    assert there.get().tolist() == [known]
    assert there.and_own(7).tolist() == [known, 7]


def test_without_a_registry_there_is_only_the_own_word() -> None:
    assert RegisteredWords(None).get() is None
    assert RegisteredWords(None).and_own(7).tolist() == [7]


def test_several_registries_are_one_list_and_answer_in_order(tmp_path: Path) -> None:
    first, second = (Registry.open(str(tmp_path / name)) for name in ("a.sqlite", "b.sqlite"))
    ours = first.allocate(Record("1", "acme"))
    stream = io.StringIO()
    first.export(stream)
    stream.seek(0)
    second.import_(stream)
    theirs = second.allocate(Record("2", "zenith"))
    words = RegisteredWords([first, second])
    known = words.get()
    assert known is not None and sorted(known.tolist()) == sorted({ours.word, theirs.word})
    assert [name for name, _ in words.find(ours.word)] == [first.name, second.name]
    assert words.taken_back == 0
    first.withdraw(ours.link)  # who still names it comes before who took it back
    assert [(name, entry.state) for name, entry in words.find(ours.word)] == [
        (second.name, "pending"), (first.name, "withdrawn"),
    ]  # fmt: skip
    assert words.taken_back == 1
    assert [name for name, _ in words.find(theirs.word)] == [second.name]


def test_fingerprints_are_counted_with_the_words(tmp_path: Path) -> None:
    first, second = (Registry.open(str(tmp_path / name)) for name in ("a.sqlite", "b.sqlite"))
    words, fresh = RegisteredWords([first, second]), RegisteredWords([first, second], seconds=-1.0)
    for number, registry in enumerate((first, second)):
        registry.confirm(registry.allocate(Record(str(number), "acme")).word, pdq=number)
    first.allocate(Record("3", "acme"))
    assert words.fingerprints == fresh.fingerprints == 2 and RegisteredWords(None).fingerprints == 0
    first.confirm(first.allocate(Record("4", "acme")).word, pdq=4)
    assert words.fingerprints == 2 and fresh.fingerprints == 3
