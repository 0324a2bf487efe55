from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import update

from payload.codes import bch
from payload.codes.short_link import format_link
from payload.errors import PayloadError, RegistryError, RegistryFullError, UnknownLinkError
from payload.layout import ID_COUNT
from payload.records.record import Record
from payload.registry import Registry
from payload.registry.database import connect, locate, transaction
from payload.registry.entry import Entry
from payload.registry.schema import registry_table

TIME = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
RECORD = Record("123", "acme", "ünï ✓", TIME)
FOREIGN = int(bch.encode(12345))

ALLOCATE = """
import sys
from payload.records.record import Record
from payload.registry import Registry
registry = Registry.open(sys.argv[1])
print(*[registry.allocate(Record(str(n), sys.argv[2])).word for n in range(20)])
"""


def mark(registry: Registry, *, asset: str = "123") -> Entry:
    entry = registry.allocate(Record(asset, "acme", None, TIME))
    return registry.confirm(entry.word, phash=(1 << 64) - 2, output=f"{asset}.wm.png")


def test_an_allocated_record_is_found_again(registry: Registry) -> None:
    entry = registry.allocate(RECORD)
    assert (entry.state, entry.record) == ("pending", RECORD)
    assert registry.find(entry.word) == registry.show(entry.link) == entry
    assert bch.decode(entry.word).corrected == 0


def test_a_confirmed_record_keeps_hash_and_file(registry: Registry) -> None:
    entry = mark(registry)
    assert (entry.state, entry.phash, entry.output) == ("marked", (1 << 64) - 2, "123.wm.png")
    assert registry.find(entry.word) == entry


def test_a_file_name_that_is_not_utf_8_is_kept_readable(registry: Registry) -> None:
    entry = registry.allocate(RECORD)
    named = registry.confirm(entry.word, output=os.fsdecode(b"caf\xe9.png"))
    assert named.output == "caf\\udce9.png"


def test_words_in_use_are_the_pending_and_the_marked_ones(registry: Registry) -> None:
    pending, failed = registry.allocate(RECORD), registry.allocate(RECORD)
    marked, withdrawn = mark(registry), mark(registry)
    registry.discard(failed.word)
    registry.withdraw(withdrawn.link)
    words = registry.words()
    assert words.dtype == np.uint32
    assert sorted(words.tolist()) == sorted([pending.word, marked.word])


def test_a_new_registry_has_no_words(registry: Registry) -> None:
    assert registry.words().shape == (0,)
    assert [*registry.entries()] == []


def test_withdrawn_and_discarded_ids_are_not_used_again(registry: Registry) -> None:
    first, second = mark(registry), registry.allocate(RECORD)
    registry.withdraw(first.link)
    registry.discard(second.word)
    later = {registry.allocate(RECORD).word for _ in range(5)}
    assert len(later | {first.word, second.word}) == 7
    assert registry.show(first.link).state == "withdrawn"
    assert registry.show(first.link).record.asset == "123"


def test_entries_are_listed_in_order_of_allocation(registry: Registry) -> None:
    for asset in "abc":
        mark(registry, asset=asset)
    registry.allocate(RECORD)
    assert [entry.record.asset for entry in registry.entries()] == ["a", "b", "c", "123"]
    assert [entry.record.asset for entry in registry.entries(state="marked")] == ["a", "b", "c"]
    assert [*registry.list(state="marked")] == [*registry.entries(state="marked")]  # the name in 0.2.0


def test_links_are_accepted_as_people_type_them(registry: Registry) -> None:
    entry = mark(registry)
    typed = entry.link.removeprefix("wm:").replace("-", " ").lower()
    assert registry.show(typed) == entry
    assert registry.withdraw(typed).state == "withdrawn"


def test_another_state_than_expected_is_refused(registry: Registry) -> None:
    entry = mark(registry)
    expected = f"{entry.link}: expected it pending, found it marked; it cannot become marked"
    with pytest.raises(RegistryError, match=expected):
        registry.confirm(entry.word)
    with pytest.raises(RegistryError, match="cannot become discarded"):
        registry.discard(entry.word)
    registry.withdraw(entry.link)
    with pytest.raises(RegistryError, match="pending or marked, found it withdrawn"):
        registry.withdraw(entry.link)


def test_unknown_words_and_links_are_named(registry: Registry) -> None:
    assert registry.find(FOREIGN) is None
    link = format_link(FOREIGN)
    for ask in (registry.show, registry.withdraw):
        with pytest.raises(UnknownLinkError, match=f"an entry for link {link}, found none"):
            ask(link)
    with pytest.raises(UnknownLinkError):
        registry.confirm(FOREIGN)
    with pytest.raises(ValueError, match="expected 8 symbols"):
        registry.show("wm:123")


def test_a_hash_of_more_than_64_bits_is_refused(registry: Registry) -> None:
    entry = registry.allocate(RECORD)
    with pytest.raises(ValueError, match=r"expected a hash of 64 bits, found .*; use hash_rgb"):
        registry.confirm(entry.word, phash=1 << 64)
    assert registry.show(entry.link) == entry


def test_the_last_id_is_the_last(registry: Registry, registry_url: str) -> None:
    with transaction(connect(locate(registry_url), create=False), write=True) as connection:
        connection.execute(update(registry_table).values(next_serial=ID_COUNT - 1))
    assert registry.allocate(RECORD).serial == ID_COUNT - 1
    with pytest.raises(RegistryFullError, match=f"found all {ID_COUNT} allocated; start another"):
        registry.allocate(RECORD)
    assert len(registry.words()) == 1


def test_two_registries_draw_different_ids(registry_url: str, tmp_path: Path) -> None:
    registries = [Registry.open(registry_url), Registry.open(str(tmp_path / "other.sqlite"))]
    first, second = ({r.allocate(RECORD).word for _ in range(10)} for r in registries)
    assert len(first & second) <= 1


def test_processes_that_start_at_once_never_get_the_same_id(registry_url: str) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", ALLOCATE, registry_url, f"process {index}"],
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )
        for index in range(3)
    ]
    words = [word for process in started for word in process.communicate(timeout=60)[0].split()]
    assert [process.returncode for process in started] == [0] * 3
    assert len(words) == len(set(words)) == 60
    assert len(Registry.open(registry_url, create=False).words()) == 60


def test_every_error_has_the_same_base() -> None:
    assert issubclass(RegistryFullError, RegistryError)
    assert issubclass(UnknownLinkError, RegistryError)
    assert issubclass(RegistryError, PayloadError)


class TestQueries:
    @pytest.fixture
    def filled(self, registry: Registry) -> Registry:
        for number, (owner, user) in enumerate((("acme", "u-1"), ("acme", None), ("zenith", "u-1"), ("acme", "u-2"))):
            registry.allocate(Record(f"a{number % 2}", owner, user, datetime(2026, 1, 1 + number, tzinfo=UTC)))
        return registry

    @pytest.mark.parametrize(
        ("query", "serials"),
        [
            ({}, [0, 1, 2, 3]),
            ({"asset": "a1"}, [1, 3]),
            ({"owner": "acme"}, [0, 1, 3]),
            ({"user": "u-1"}, [0, 2]),
            ({"owner": "acme", "user": "u-1"}, [0]),
            ({"since": datetime(2026, 1, 3, tzinfo=UTC)}, [2, 3]),
            ({"since": datetime(2026, 1, 3, 0, 0, 1, tzinfo=UTC), "state": "pending"}, [3]),
            ({"state": "marked"}, []),
            ({"asset": "a"}, []),
        ],
    )
    def test_entries_as_asked(self, filled: Registry, query: dict[str, Any], serials: list[int]) -> None:
        assert [entry.serial for entry in filled.entries(**query)] == serials

    def test_a_time_without_a_zone_is_refused(self, filled: Registry) -> None:
        with pytest.raises(ValueError, match="expected a datetime with a time zone"):
            filled.entries(since=datetime(2026, 1, 1))

    def test_statistics(self, filled: Registry) -> None:
        filled.discard(next(filled.entries(asset="a1")).word)
        assert filled.statistics().to_dict() == {
            "states": {"pending": 3, "discarded": 1},
            "allocated": 4,
            "free": ID_COUNT - 4,
            "scheme": "plain",
            "generation": 0,
            "assets": 2,
            "owners": 2,
            "users": 2,
            "first": "2026-01-01T00:00:00Z",
            "last": "2026-01-04T00:00:00Z",
        }

    def test_statistics_of_an_empty_registry(self, registry: Registry) -> None:
        found = registry.statistics()
        assert (found.allocated, found.assets, found.first, found.last) == (0, 0, None, None)
