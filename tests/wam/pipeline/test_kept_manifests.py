"""Manifests that a registry keeps, by what their pictures look like and by the marks that they were entered under."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from payload.registry import Registry
from payload.registry.manifests import Binding, Manifests
from wam.pipeline.kept_manifests import alike, naming, with_value
from wam.provenance.soft_value import MarkName, entered
from wam.signal.specification import SIGNAL


def test_no_more_manifests_are_read_than_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pdqhash", reason="needs pdqhash")
    registry = Registry.open(str(tmp_path / "r.sqlite"))
    for number in range(4):
        registry.manifests.keep(f"urn:c2pa:{number}", b"store", pdq=(1 << number) - 1)
    find, read = Manifests.find, list[str]()

    def counted(self: Manifests, id: str) -> object:
        read.append(id)
        return find(self, id)

    monkeypatch.setattr(Manifests, "find", counted)
    found = alike(registry, pdq=0, phash=0, most=2)
    assert [one.manifest.id for one in found] == read == ["urn:c2pa:0", "urn:c2pa:1"]
    assert [one.similarity for one in found] == [99, 99]  # never as sure as a mark
    assert len(alike(registry, pdq=0, phash=0)) == 4


def test_half_a_name_is_half_sure_where_nothing_reads_manifests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "c2pa", None)  # as where c2pa-python is not installed
    registry = Registry.open(str(tmp_path / "r.sqlite"))
    kept = {"whole": MarkName(7, 1, True), "later": MarkName(7, 2, True), "word": MarkName(7)}
    for id, name in kept.items():
        registry.manifests.keep(id, b"store", [Binding(SIGNAL.name, value) for value in entered([name.value])])

    def found(name: MarkName) -> dict[str, int]:
        return {one.manifest.id: one.similarity for one in naming(registry, [name])}

    assert found(kept["whole"]) == {"whole": 100, "word": 50}
    assert found(kept["word"]) == {"word": 100}  # a plain mark: the others name labelled ones
    asked = {one.manifest.id: one.similarity for one in with_value(registry, SIGNAL.name, kept["later"].value)}
    assert asked == {"later": 100, "word": 50}
