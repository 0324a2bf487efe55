"""Marking many files: what a run leaves behind when all goes well, and when files are bad."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
import torch
from PIL import Image

from payload.registry import Registry
from tests.wam.jobs.runs import check, embed, lines, plan
from wam.jobs import manifest
from wam.jobs.engines.local import embed_locally
from wam.jobs.engines.steps import load_item
from wam.jobs.journal import Journal
from wam.jobs.link_mode import LinkMode
from wam.jobs.manifest import Manifest
from wam.networks.embedder import Embedder
from wam.pipeline.mark_link import mark_link
from wam.pipeline.options import MarkOptions
from wam.watermarker import Watermarker


class TestEmbed:
    def test_a_run_and_its_manifest(self, light: Watermarker, registry: Registry, photos: Path) -> None:
        outcomes = embed(light, registry, plan(photos), workers=2)
        assert [outcome.error for outcome in outcomes] == [None] * 3
        assert check(registry, light) == dict.fromkeys("abc", "marked")
        done = {line["path"]: line for line in lines(photos) if line["status"] == "marked"}
        assert list(done) != [] and set(done) == {"a.png", "b.jpg", "deep/c.png"}
        for outcome in outcomes:
            assert outcome.result is not None
            assert outcome.result.to_dict().items() <= done[outcome.item.source.name].items()
        assert [line["status"] for line in lines(photos) if line["path"] == "a.png"] == ["pending", "marked"]

    def test_pictures_of_one_size_go_together_with_the_same_result(
        self, light: Watermarker, registry: Registry, photos: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        counts: list[int] = []
        forward = Embedder.forward

        def counted(self: Embedder, images: torch.Tensor) -> torch.Tensor:
            counts.append(len(images))
            return forward(self, images)

        monkeypatch.setattr(Embedder, "forward", counted)
        outcomes = embed(light, registry, plan(photos), workers=1, batch=8)
        assert sorted(counts) == [1, 2]
        for outcome in outcomes:
            assert outcome.result is not None
            (word,), record = outcome.result.report.words, outcome.result.report.record
            ready = load_item(outcome.item.source.location, outcome.item.target, MarkOptions())
            alone = mark_link(light, ready, record=record, word=word)
            assert alone.content == Path(outcome.item.target).read_bytes()

    def test_a_bad_file_costs_itself_only(self, light: Watermarker, registry: Registry, photos: Path) -> None:
        (photos / "a.png").write_bytes(b"no picture")
        (photos / "z\udcff\n.png").write_bytes((photos / "deep/c.png").read_bytes())  # no asset of that name
        (photos / "loop.png").symlink_to("loop.png")
        Image.new("RGB", (1, 3000)).save(photos / "thin.png")
        outcomes = embed(light, registry, plan(photos), workers=2, batch=4)
        failed = {outcome.item.source.name for outcome in outcomes if outcome.error is not None}
        assert failed == {"a.png", "z\udcff\n.png", "loop.png", "thin.png"}
        assert check(registry, light) == dict.fromkeys("bc", "marked")

    def test_an_output_that_cannot_be_written_costs_itself_only(
        self, light: Watermarker, registry: Registry, photos: Path
    ) -> None:
        (photos.parent / "out").mkdir()
        (photos.parent / "out/deep").write_bytes(b"a file where a folder should be")
        outcomes = embed(light, registry, plan(photos), workers=1)
        assert [outcome.error is None for outcome in outcomes] == [True, True, False]
        assert "c.png: expected a folder to write to" in str(outcomes[2].error)
        assert check(registry, light) == {"a": "marked", "b": "marked", "c": "discarded"}

    def test_an_interrupted_run_leaves_whole_files_only(
        self, light: Watermarker, registry: Registry, photos: Path
    ) -> None:
        for number in range(9):
            (photos / f"d{number}.png").write_bytes((photos / "a.png").read_bytes())
        items = plan(photos)
        with Manifest(photos.parent / "out") as manifest:
            mode = LinkMode(registry, Journal(light.name, manifest))
            with closing(embed_locally(light, mode, items, workers=1)) as run:
                next(run)
        states = check(registry, light)
        assert mode.journal.noted == list(states.values()).count("marked")  # the one that was under way, too
        assert "marked" in states.values() and "pending" not in states.values() and len(states) < len(items)
        assert not list((photos.parent / "out").rglob(".wam-*"))
        outcomes = embed(light, registry, items, workers=1, resume=True)
        assert [outcome.error for outcome in outcomes] == [None] * 12
        assert outcomes[0].earlier is not None

    def test_a_manifest_that_cannot_be_written_costs_no_id(
        self, light: Watermarker, registry: Registry, photos: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(manifest, "write_whole", full)
        outcomes = embed(light, registry, plan(photos), workers=1)
        assert all("found: No space left on device" in str(outcome.error) for outcome in outcomes)
        assert set(check(registry, light).values()) == {"discarded"}
        assert not list((photos.parent / "out").rglob("*.png"))
