"""Manifests beside the records: kept once, found by what binds them, gone when deleted, and no part of the schema."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from sqlalchemy import select

from payload import Record
from payload.errors import RegistryError
from payload.registry import Registry
from payload.registry.database import connect, locate, transaction
from payload.registry.manifests import MOST_BYTES, Binding, Similar, pdq_bands

ID, OTHER = "urn:c2pa:1", "urn:c2pa:2"
MARK = Binding("wam-lattice-1", b"\1\2\3\4")


def test_a_registry_without_manifests_has_none(registry: Registry) -> None:
    manifests = registry.manifests
    assert manifests.find(ID) is None and manifests.bound_to([MARK]) == []
    assert manifests.similar(pdq=1, within=31) == [] and manifests.similar(within=64) == []
    assert manifests.bind(ID, MARK) is False and manifests.delete(ID) is False


def test_kept_and_found(registry: Registry) -> None:
    registry.manifests.keep(ID, b"store", [MARK], phash=5, pdq=7)
    found = registry.manifests.find(ID)
    assert found is not None and (found.id, found.store, found.phash, found.pdq) == (ID, b"store", 5, 7)
    assert registry.manifests.bound_to([MARK]) == [ID]
    assert registry.manifests.bound_to([Binding("other", MARK.value), Binding(MARK.algorithm, b"\1\2\3")]) == []


def test_the_same_again_changes_nothing_and_another_is_refused(registry: Registry) -> None:
    for _ in range(2):
        registry.manifests.keep(ID, b"store", [MARK])
    with pytest.raises(RegistryError, match="found another of this id; it stays as it was"):
        registry.manifests.keep(ID, b"forged", [Binding("x", b"1")])
    found = registry.manifests.find(ID)
    assert found is not None and found.store == b"store" and registry.manifests.bound_to([Binding("x", b"1")]) == []


def test_several_of_one_mark_and_several_marks_of_one(registry: Registry) -> None:
    second = Binding("wam-lattice-1", b"\5\6\7\x08")
    registry.manifests.keep(ID, b"one", [MARK, second])
    registry.manifests.keep(OTHER, b"two", [MARK])
    assert set(registry.manifests.bound_to([MARK])) == {ID, OTHER}
    assert registry.manifests.bound_to([MARK, second]).count(ID) == 1
    assert registry.manifests.bind(OTHER, second) is True
    assert set(registry.manifests.bound_to([second])) == {ID, OTHER}


def test_deleted_with_what_led_to_it(registry: Registry) -> None:
    registry.manifests.keep(ID, b"store", [MARK])
    assert registry.manifests.delete(ID) is True
    assert registry.manifests.find(ID) is None and registry.manifests.bound_to([MARK]) == []
    registry.manifests.keep(ID, b"another", [])
    assert registry.manifests.bound_to([MARK]) == []


def test_pictures_that_look_alike_the_most_alike_first(registry: Registry) -> None:
    registry.manifests.keep(ID, b"one", pdq=(1 << 255) | 0b111, phash=0b1)
    registry.manifests.keep(OTHER, b"two", pdq=1 << 255, phash=0b1111)
    registry.manifests.keep("urn:c2pa:3", b"three")
    wanted = 1 << 255
    assert registry.manifests.similar(pdq=wanted, within=3) == [Similar(OTHER, 0), Similar(ID, 3)]
    assert registry.manifests.similar(pdq=wanted, within=2) == [Similar(OTHER, 0)]
    assert registry.manifests.similar(phash=0, within=4) == [Similar(ID, 1), Similar(OTHER, 4)]


def test_manifests_that_were_kept_before_there_was_an_index_are_found(registry_url: str) -> None:
    registry = Registry.open(registry_url)
    registry.manifests.keep(ID, b"one", pdq=0b1)
    with transaction(connect(locate(registry_url), create=False), write=True) as connection:
        pdq_bands.table.drop(connection)
    assert registry.manifests.similar(pdq=0, within=31) == [Similar(ID, 1)]
    registry.manifests.keep(OTHER, b"two", pdq=0b111)
    assert registry.manifests.similar(pdq=0, within=31) == [Similar(ID, 1), Similar(OTHER, 3)]
    assert registry.manifests.delete(ID) and registry.manifests.similar(pdq=0, within=31) == [Similar(OTHER, 3)]
    with transaction(connect(locate(registry_url), create=False)) as connection:
        owners = connection.execute(select(pdq_bands.table.c.owner)).scalars()
        assert [*owners] == [OTHER] * 16


@pytest.mark.parametrize("id", ["", "x" * 300, "a\nb", "a\0b"])
def test_ids_that_are_none(registry: Registry, id: str) -> None:
    with pytest.raises(RegistryError, match="manifest id: expected"):
        registry.manifests.keep(id, b"store")


def test_bindings_that_are_none_keep_nothing(registry: Registry) -> None:
    for wrong in (Binding("", b"1"), Binding("x", b""), Binding("x" * 300, b"1"), Binding("x", bytes(300))):
        with pytest.raises(RegistryError, match="expected 1 to"):
            registry.manifests.keep(ID, b"store", [MARK, wrong])
    assert registry.manifests.find(ID) is None and registry.manifests.bound_to([MARK]) == []


def test_stores_that_are_too_long(registry: Registry) -> None:
    with pytest.raises(RegistryError, match="expected at most"):
        registry.manifests.keep(ID, bytes(MOST_BYTES + 1))


def test_several_threads_keep_at_once(registry: Registry) -> None:
    def keep(number: int) -> None:
        registry.manifests.keep(f"urn:c2pa:{number}", b"store %d" % number, [MARK])

    threads = [threading.Thread(target=keep, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(registry.manifests.bound_to([MARK])) == 8


def test_records_exports_and_other_readers_do_not_notice(registry: Registry, tmp_path: Path) -> None:
    entry = registry.allocate(Record("1", "acme"))
    registry.manifests.keep(ID, b"store", [MARK])
    with (tmp_path / "export").open("w") as stream:
        assert registry.export(stream) == 1
    assert "store" not in (tmp_path / "export").read_text()
    assert registry.find(entry.word) == entry and registry.counts()["pending"] == 1
    assert registry.verify_audit().problem is None
