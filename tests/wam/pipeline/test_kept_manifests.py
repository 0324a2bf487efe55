"""Manifests that a registry keeps, by what their pictures look like."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("pdqhash", reason="needs pdqhash")

from payload.registry import Registry
from payload.registry.manifests import Manifests
from wam.pipeline.kept_manifests import alike


def test_no_more_manifests_are_read_than_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
