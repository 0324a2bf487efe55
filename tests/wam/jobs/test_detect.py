"""Reading many files."""

from __future__ import annotations

from pathlib import Path

import fsspec

from payload.registry import Registry
from tests.wam.jobs.runs import FIELDS, embed, plan
from wam.jobs.asset_list import asset_from_name
from wam.jobs.engines.local import detect_locally, embed_locally
from wam.jobs.journal import Journal
from wam.jobs.link_mode import LinkMode
from wam.jobs.manifest import Manifest
from wam.jobs.plan import (
    find_sources,
    find_targets,
    plan_records,
)
from wam.watermarker import Watermarker


class TestDetect:
    def test_in_order_with_errors_among_them(self, light: Watermarker, registry: Registry, photos: Path) -> None:
        embed(light, registry, plan(photos), workers=1)
        out = photos.parent / "out"
        (out / "b.jpg").write_bytes(b"")
        sources = find_sources([str(out), str(photos / "a.png")])
        outcomes = list(detect_locally(light, registry, sources, workers=3))
        assert [outcome.source for outcome in outcomes] == sources
        assets = [[r.entry.record.asset for r in outcome.readings if r.entry] for outcome in outcomes]
        assert assets == [["a"], [], ["c"], []]
        assert [outcome.error is not None for outcome in outcomes] == [False, True, False, False]

    def test_behind_a_url_as_from_a_file(self, light: Watermarker, registry: Registry, photos: Path) -> None:
        memory = fsspec.filesystem("memory")
        memory.put(str(photos) + "/", "memory://in/", recursive=True)
        sources = find_sources(["memory://in"])
        assert [source.name for source in sources] == ["a.png", "b.jpg", "deep/c.png"]
        targets = find_targets(sources, output=None, out_dir="memory://out", in_place=False)
        items = plan_records(sources, targets, asset_from_name(FIELDS))
        with Manifest("memory://out") as manifest:
            list(embed_locally(light, LinkMode(registry, Journal(light.name, manifest)), items, workers=2))
        with Manifest("memory://out") as manifest:
            again = list(
                embed_locally(light, LinkMode(registry, Journal(light.name, manifest)), items, workers=2, resume=True)
            )
        assert [outcome.earlier is not None for outcome in again] == [True] * 3
        found = list(detect_locally(light, registry, find_sources(["memory://out"]), workers=2))
        assert [[r.entry.record.asset for r in outcome.readings if r.entry] for outcome in found] == [
            ["a"],
            ["b"],
            ["c"],
        ]
        (missing,) = detect_locally(light, registry, find_sources(["memory://nowhere/x.png"]), workers=1)
        assert "memory://nowhere/x.png: expected a readable file" in str(missing.error)
