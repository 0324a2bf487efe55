"""Fingerprints of marked pictures: kept with their records, found by nearness, gone when they are erased."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Iterable
from pathlib import Path

import pytest
from sqlalchemy import func, select

from payload.errors import ImportFileError
from payload.records.record import Record
from payload.registry import Registry
from payload.registry.bands import BANDS, bands_of
from payload.registry.database import connect, locate, transaction
from payload.registry.entry import Entry
from payload.registry.pdq import PDQ_BITS, WITHIN
from payload.registry.reservations import Wanted
from payload.registry.schema import fingerprint_bands

RECORD = Record("123", "acme", "u-1")


def drawn(seed: int) -> int:
    return random.Random(seed).getrandbits(PDQ_BITS)


def flipped(bits: int, places: Iterable[int]) -> int:
    for place in places:
        bits ^= 1 << place
    return bits


def marked(registry: Registry, *pdqs: int | None, record: Record = RECORD) -> list[Entry]:
    reserved = registry.reserve([Wanted(record)] * len(pdqs))
    return [registry.confirm(one.entry.word, pdq=pdq) for one, pdq in zip(reserved, pdqs, strict=True)]


def found(registry: Registry, *wanted: int, most: int = 1000, within: int = WITHIN) -> list[tuple[int, int]]:
    """Serial number and distance of what is near."""
    return [(one.entry.serial, one.bits) for one in registry.similar(wanted, most=most, within=within)]


def rows(url: str) -> int:
    """How many bands are kept."""
    with transaction(connect(locate(url), create=False)) as connection:
        return int(connection.execute(select(func.count()).select_from(fingerprint_bands.table)).scalar_one())


def by_band(counts: Iterable[int]) -> list[int]:
    """Places of so many bits in each band."""
    return [16 * band + place for band, count in enumerate(counts) for place in range(count)]


def test_what_is_near_is_found_the_nearest_first(registry: Registry) -> None:
    own = drawn(1)
    apart = [30, 3, 0, 31, 12, 128]
    entries = marked(registry, *(flipped(own, random.Random(count).sample(range(256), count)) for count in apart))
    assert entries[1].pdq is not None and registry.find(entries[1].word) == entries[1]
    assert found(registry, own) == [(2, 0), (1, 3), (4, 12), (0, 30)]
    assert found(registry, own, most=2) == [(2, 0), (1, 3)]
    assert found(registry, own, within=12) == [(2, 0), (1, 3), (4, 12)]
    assert found(registry, own, within=31) == [(2, 0), (1, 3), (4, 12), (0, 30), (3, 31)]
    assert found(registry, drawn(2)) == []


@pytest.mark.parametrize(
    ("counts", "within"),
    [
        ([0] + [2] * 15, 30),  # one band whole
        ([1, 1] + [2] * 14, 30),  # two within a bit
        ([2] * 14 + [1, 1], 30),
        ([15, 15] + [0] * 14, 30),
        ([2] * 15 + [1], 31),  # one within a bit, no other
    ],
)
def test_the_hardest_spreads_of_bits_are_found(registry: Registry, counts: list[int], within: int) -> None:
    own = drawn(3)
    marked(registry, flipped(own, by_band(counts)))
    assert found(registry, own, within=within) == [(0, sum(counts))]


def test_the_index_finds_what_comparing_all_finds(registry: Registry) -> None:
    chance = random.Random(4)
    own = drawn(4)
    known = [flipped(own, chance.sample(range(256), chance.randint(0, 60))) for _ in range(150)]
    marked(registry, *known)
    expected = {serial: (one ^ own).bit_count() for serial, one in enumerate(known) if (one ^ own).bit_count() <= 30}
    assert len(expected) > 30 and dict(found(registry, own)) == expected


def test_distances_that_the_index_does_not_reach_are_refused(registry: Registry) -> None:
    with pytest.raises(ValueError, match="expected a distance of 0 to 31 bits, found 32"):
        registry.similar([1], most=1, within=32)


def test_several_are_asked_for_at_once_and_each_is_told_apart(registry: Registry) -> None:
    marked(registry, drawn(1), drawn(2))
    similar = registry.similar([drawn(9), drawn(2) ^ 1, drawn(1)], most=5)
    assert [(one.entry.serial, one.bits, one.place) for one in similar] == [(0, 0, 2), (1, 1, 1)]


def test_only_what_is_marked_is_found(registry: Registry) -> None:
    first, second, _ = marked(registry, drawn(1), drawn(1), None)
    registry.allocate(RECORD)
    registry.withdraw(first.link)
    assert found(registry, drawn(1)) == [(second.serial, 0)]


def test_those_that_can_be_found_are_counted(registry: Registry, tmp_path: Path) -> None:
    first, second, _, _ = marked(registry, drawn(1), drawn(1), drawn(2), None)
    registry.allocate(RECORD)
    assert registry.fingerprints == 3
    registry.withdraw(first.link)
    registry.confirm(second.word, pdq=drawn(4), again=True)
    assert registry.fingerprints == 2
    stream = io.StringIO()
    registry.export(stream)
    copy = Registry.open(str(tmp_path / "copy.sqlite"))
    copy.import_(io.StringIO(stream.getvalue()))
    assert copy.fingerprints == 2 and copy.show(first.link).pdq == drawn(1)
    assert registry.erase("u-1") == 5 and registry.fingerprints == 0


def test_a_picture_that_is_marked_again_is_found_as_it_is_now(registry_url: str) -> None:
    registry = Registry.open(registry_url)
    (entry,) = marked(registry, drawn(1))
    registry.confirm(entry.word, pdq=drawn(2), again=True)
    assert found(registry, drawn(1)) == [] and found(registry, drawn(2)) == [(0, 0)]
    without = registry.confirm(entry.word, again=True)  # by a machine that takes none
    assert without.pdq == drawn(2) and found(registry, drawn(2)) == [(0, 0)] and rows(registry_url) == BANDS


def test_what_is_erased_leaves_no_fingerprint(registry_url: str) -> None:
    registry = Registry.open(registry_url)
    marked(registry, drawn(1), drawn(2), None)
    marked(registry, drawn(3), record=Record("x", "acme", "u-2"))
    assert registry.erase("u-1") == 3
    assert found(registry, drawn(1), drawn(2), drawn(3)) == [(3, 0)] and rows(registry_url) == BANDS
    assert all(entry.pdq is None for entry in registry.entries(state="erased"))
    assert registry.verify_audit().problem is None


@pytest.mark.parametrize("bits", [-1, 1 << 256])
def test_what_is_no_fingerprint_is_refused(registry: Registry, bits: int) -> None:
    entry = registry.allocate(RECORD)
    with pytest.raises(ValueError, match="expected a fingerprint of 256 bits"):
        registry.confirm(entry.word, pdq=bits)
    assert registry.show(entry.link).state == "pending"


def test_bands_are_cut_from_the_first_bit_on() -> None:
    assert bands_of((1 << 256) - 1) == [band << 16 | 0xFFFF for band in range(BANDS)]
    assert bands_of(1 << 255)[:2] == [0x8000, 1 << 16]


class TestExports:
    def exported(self, registry: Registry) -> list[str]:
        stream = io.StringIO()
        registry.export(stream)
        return stream.getvalue().splitlines(keepends=True)

    def before(self, lines: list[str], version: int) -> str:
        """An export as it was written before there were fingerprints."""
        header, *entries = map(json.loads, lines)
        header["version"] = version
        for entry in entries:
            del entry["pdq"]
        return "".join(json.dumps(one) + "\n" for one in [header, *entries])

    def test_fingerprints_come_along_and_are_found(self, registry: Registry, tmp_path: pytest.TempPathFactory) -> None:
        source = Registry.open(f"{tmp_path}/source.sqlite")
        marked(source, drawn(1), None)
        lines = self.exported(source)
        assert [json.loads(line)["pdq"] for line in lines[1:]] == [f"{drawn(1):064x}", None]
        assert registry.import_(io.StringIO("".join(lines))) == 2
        assert [*registry.entries()] == [*source.entries()] and found(registry, drawn(1)) == [(0, 0)]

    def test_older_exports_are_read(self, registry: Registry, tmp_path: pytest.TempPathFactory) -> None:
        source = Registry.open(f"{tmp_path}/source.sqlite")
        marked(source, drawn(1))
        old = self.before(self.exported(source), 2)
        assert source.import_(io.StringIO(old)) == 0 and found(source, drawn(1)) == [(0, 0)]  # takes nothing away
        assert registry.import_(io.StringIO(old)) == 1
        assert next(registry.entries()).pdq is None and found(registry, drawn(1)) == []

    def test_another_fingerprint_of_one_entry_is_refused(self, registry: Registry) -> None:
        marked(registry, drawn(1))
        header, line = self.exported(registry)
        other = json.dumps(json.loads(line) | {"pdq": f"{drawn(2):064x}"}) + "\n"
        with pytest.raises(ImportFileError, match="expected the entry that is already here, found another"):
            registry.import_(io.StringIO(header + other))

    @pytest.mark.parametrize("wrong", ["12", 5, "A" * 64, "+" + "0" * 63])
    def test_what_is_no_fingerprint_is_refused(self, registry: Registry, wrong: object) -> None:
        marked(registry, drawn(1))
        header, line = self.exported(registry)
        damaged = json.dumps(json.loads(line) | {"pdq": wrong}) + "\n"
        with pytest.raises(ImportFileError, match="line 2: expected 64 hexadecimal digits"):
            registry.import_(io.StringIO(header + damaged))
