"""The same source for the same record keeps its link, whatever became of the earlier run."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import update

from payload.errors import RegistryError, RegistryFullError
from payload.layout import ID_COUNT
from payload.records.record import Record
from payload.registry import Registry
from payload.registry.database import connect, locate, transaction
from payload.registry.entry import Entry
from payload.registry.reservations import Wanted
from payload.registry.schema import registry_table

RECORD = Record("123", "acme", "u-1", datetime(2026, 1, 2, tzinfo=UTC))
LATER = replace(RECORD, ingested_at=datetime(2026, 1, 3, tzinfo=UTC))
SOURCE, OTHER = "a" * 64, "b" * 64

RESERVE = f"""
import sys
from payload.records.record import Record
from payload.registry import Registry
from payload.registry.reservations import Wanted
registry = Registry.open(sys.argv[1])
for n in range(10):
    (one,) = registry.reserve([Wanted(Record(str(n), "acme"), {SOURCE!r})])
    registry.confirm(one.entry.word, again=True)
    print(one.entry.word)
"""


def reserve(registry: Registry, record: Record = RECORD, source: str | None = SOURCE, **how: bool) -> Entry:
    new_link = how.pop("new_link", False)
    (reserved,) = registry.reserve([Wanted(record, source, **how)], new_link=new_link)
    return reserved.entry


def test_a_marked_source_keeps_its_link_and_record(registry: Registry) -> None:
    first = registry.confirm(reserve(registry).word, phash=1, output="a.png")
    (again,) = registry.reserve([Wanted(LATER, SOURCE)])
    assert again.reused and again.entry == first  # the record with its first time
    moved = registry.confirm(first.word, phash=2, output="b.png", again=True)
    assert (moved.word, moved.state, moved.output, moved.phash) == (first.word, "marked", "b.png", 2)
    assert registry.statistics().allocated == 1


@pytest.mark.parametrize(
    "other",
    [
        {"record": replace(RECORD, asset="124")},
        {"record": replace(RECORD, owner="zenith")},
        {"record": replace(RECORD, user=None)},
        {"record": LATER, "timed": True},
        {"source": OTHER},
        {"source": None},
        {"new_link": True},
    ],
)
def test_whatever_else_is_asked_for_gets_another_link(registry: Registry, other: dict) -> None:
    first = registry.confirm(reserve(registry).word)
    assert reserve(registry, **other).word != first.word
    assert reserve(registry, timed=True).word == first.word  # its own time


def test_without_a_source_nothing_is_taken_for_the_same(registry: Registry) -> None:
    assert registry.allocate(RECORD).word != registry.allocate(RECORD).word


def test_what_was_taken_back_or_given_up_is_not_used_again(registry: Registry) -> None:
    first = registry.confirm(reserve(registry).word)
    registry.withdraw(first.link)
    second = reserve(registry)
    registry.discard(second.word)
    third = reserve(registry)
    assert len({first.word, second.word, third.word}) == 3 and third.state == "pending"


def test_of_several_the_one_that_was_marked_is_used(registry: Registry) -> None:
    marked = registry.confirm(reserve(registry).word)
    pending = reserve(registry, new_link=True)
    assert pending.word != marked.word and reserve(registry).word == marked.word


def test_a_run_that_died_leaves_its_id_to_the_next(registry: Registry) -> None:
    """The file may be there, or not: the next run takes the same id, and does not give it up if it fails."""
    left = reserve(registry)
    taken = reserve(registry)
    assert taken.word == left.word
    assert registry.discard(taken.word).state == "pending"
    assert registry.confirm(reserve(registry).word).state == "marked"


def test_of_two_runs_at_once_one_may_fail(registry: Registry) -> None:
    ours, theirs = reserve(registry), reserve(registry)
    assert ours.word == theirs.word
    assert registry.discard(ours.word).state == "pending"  # they are still at it
    assert registry.confirm(theirs.word, again=True).state == "marked"
    ours, theirs = reserve(registry, source=OTHER), reserve(registry, source=OTHER)
    registry.confirm(ours.word, again=True)
    assert registry.confirm(theirs.word, again=True).state == "marked"
    assert registry.statistics().allocated == 2


def test_when_both_fail_the_id_is_given_up(registry: Registry) -> None:
    ours, theirs = reserve(registry), reserve(registry)
    registry.discard(ours.word)
    assert registry.discard(theirs.word).state == "discarded"
    with pytest.raises(RegistryError, match="cannot become discarded"):
        registry.discard(theirs.word)


def test_a_marked_one_is_confirmed_again_only_where_that_is_meant(registry: Registry) -> None:
    word = registry.confirm(reserve(registry).word).word
    with pytest.raises(RegistryError, match="found it marked; it cannot become marked"):
        registry.confirm(word)
    registry.withdraw(registry.confirm(word, again=True).link)
    with pytest.raises(RegistryError, match="found it withdrawn"):
        registry.confirm(word, again=True)


def test_many_at_once_come_in_order_and_twins_share_one(registry: Registry) -> None:
    known = registry.confirm(reserve(registry).word)
    wanted = [
        Wanted(replace(RECORD, asset="x"), OTHER),
        Wanted(RECORD, SOURCE),
        Wanted(replace(RECORD, asset="x"), OTHER),
        Wanted(replace(RECORD, asset="y")),
        Wanted(replace(RECORD, asset="y")),
    ]
    found = registry.reserve(wanted)
    assert [one.reused for one in found] == [False, True, True, False, False]
    assert found[1].entry == known and found[0].entry == found[2].entry
    assert len({one.entry.word for one in found}) == 4
    assert [registry.find(one.entry.word) for one in found] == [one.entry for one in found]
    assert not any(one.reused for one in registry.reserve(wanted[:2], new_link=True))
    assert registry.reserve([]) == []


def test_many_at_once_are_all_there_or_none(registry: Registry, registry_url: str) -> None:
    with transaction(connect(locate(registry_url), create=False), write=True) as connection:
        connection.execute(update(registry_table).values(next_serial=ID_COUNT - 2))
    wanted = [Wanted(replace(RECORD, asset=str(number))) for number in range(3)]
    with pytest.raises(RegistryFullError, match="expected 3 free ids, found 2; take fewer at a time"):
        registry.reserve(wanted)
    assert registry.counts() == {}
    assert len(registry.reserve(wanted[:2])) == 2


def test_processes_that_mark_the_same_get_the_same(registry_url: str) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    Registry.open(registry_url)
    started = [
        subprocess.Popen([sys.executable, "-c", RESERVE, registry_url], stdout=subprocess.PIPE, env=environment)
        for _ in range(3)
    ]
    words = [process.communicate(timeout=120)[0].split() for process in started]
    assert [process.returncode for process in started] == [0] * 3
    assert words[0] == words[1] == words[2] and len(set(words[0])) == 10
    registry = Registry.open(registry_url, create=False)
    assert registry.counts() == {"marked": 10} and registry.verify_audit().problem is None
