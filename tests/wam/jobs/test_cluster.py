"""The engine on Ray: a local cluster of two nodes does what the local engine does, also when a worker is killed."""

# ruff: noqa: F811 - fixtures of another module are named again where they are used
from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from payload.registry import Registry
from tests.payload.conftest import postgres_server, registry_url  # noqa: F401 - fixtures
from tests.wam.jobs.runs import check, lines, plan
from tests.wam.synthetic import handmade_marker, smooth_picture
from wam.jobs import EmbedResult
from wam.jobs.engines.local import detect_locally, embed_locally, embed_records_locally
from wam.jobs.engines.ray_data import Cluster, detect_on_cluster, embed_on_cluster, embed_records_on_cluster
from wam.jobs.id_allocation import Ledger
from wam.jobs.journal import Book
from wam.jobs.manifest import Manifest
from wam.jobs.plan import Fields, PlanError, find_sources
from wam.pipeline import loaded, mark_link
from wam.pipeline.options import Settings
from wam.watermarker import Watermarker

ROOT = Path(mark_link.__file__).parents[2]


def test_without_ray_the_install_command_is_said(
    light: Watermarker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(PlanError, match=r'expected Ray, found none; run: pip install "ray\[data\]"'):
        next(detect_on_cluster(Cluster(handmade_marker), None, find_sources([str(tmp_path / "x.png")])))


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A cluster of two nodes with one CPU each; gives its address."""
    pytest.importorskip("ray", reason='needs the extra: pip install "ray[data]"')
    folder = tmp_path_factory.mktemp("ray")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))  # for the workers
        patch.setenv("RAY_AUTH_TOKEN_PATH", str(folder / "token"))  # not in the home of whoever runs the tests
        patch.setenv("OMP_NUM_THREADS", "1")
        from ray.cluster_utils import Cluster as Nodes

        nodes = Nodes(initialize_head=True, head_node_args={"num_cpus": 1})
        nodes.add_node(num_cpus=1)
        yield nodes.address
        nodes.shutdown()


class Mortal(Watermarker):
    """Kills its process at the first picture, once for each ``flag``."""

    flag: Path

    def embed(self, *arguments: Any, **options: Any) -> Any:
        try:
            self.flag.unlink()
        except FileNotFoundError:
            return super().embed(*arguments, **options)
        os.kill(os.getpid(), signal.SIGKILL)


def mortal(flag: Path) -> Watermarker:
    marker = Mortal(handmade_marker().model)
    marker.flag = flag
    return marker


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
class TestCluster:
    def test_the_same_as_the_local_engine(
        self,
        address: str,
        light: Watermarker,
        registry_url: str,
        photos: Path,
    ) -> None:
        (photos / "broken.png").write_bytes(b"")
        items, registry = plan(photos), Registry.open(registry_url)
        cluster = Cluster(handmade_marker, address, workers=2)
        with Manifest(photos.parent / "out") as manifest:
            far = list(embed_on_cluster(cluster, Ledger(registry, light.name, manifest), items))
        assert [outcome.item for outcome in far] == items
        assert [outcome.error is None for outcome in far] == [True, True, False, True]
        assert check(registry, light) == {"a": "marked", "b": "marked", "broken": "discarded", "c": "marked"}
        written = {
            item.source.name: Path(item.target).read_bytes() for item in items if item.source.name != "broken.png"
        }
        for outcome in far:
            if outcome.result is not None:  # the local engine, given the same id, writes the same bytes
                assert isinstance(outcome.result, EmbedResult)
                ready = loaded.load(outcome.item.source.location, outcome.item.target)
                (pixels,) = mark_link.mark(light, [ready], [outcome.result.entry.word], None)
                assert loaded.encode(ready, pixels)[0] == written[outcome.item.source.name]
        with Manifest(photos.parent / "out") as manifest:
            near = list(embed_locally(light, Ledger(registry, light.name, manifest), items, resume=True))
        assert [outcome.earlier is not None for outcome in near] == [True, True, False, True]
        assert str(near[2].error) == str(far[2].error)
        self._reads_the_same(cluster, light, registry, photos.parent / "out")

    def _reads_the_same(self, cluster: Cluster, light: Watermarker, registry: Registry, out: Path) -> None:
        sources = find_sources([str(out), str(out / "none.png")])
        far = list(detect_on_cluster(cluster, registry, sources))
        near = list(detect_locally(light, registry, sources))
        assert [json.dumps([r.to_dict() for r in one.readings]) for one in far] == [
            json.dumps([r.to_dict() for r in one.readings]) for one in near
        ]
        assert [(one.source, one.width, str(one.error)) for one in far] == [
            (one.source, one.width, str(one.error)) for one in near
        ]
        assert [len(one.readings) for one in far] == [1, 1, 1, 0]

    def test_label_and_frames_as_on_the_local_engine(
        self, address: str, light: Watermarker, registry_url: str, photos: Path
    ) -> None:
        for name in ("b.jpg", "deep/c.png"):
            (photos / name).unlink()
        frames = [Image.fromarray(smooth_picture(seed=seed)) for seed in (1, 2)]
        frames[0].save(photos / "moving.webp", save_all=True, append_images=frames[1:], duration=100, lossless=True)
        items, registry = plan(photos), Registry.open(registry_url)
        settings = Settings(strength=36.0, label=True, frames=True, quality=95)
        cluster = Cluster(handmade_marker, address, 2)
        with Manifest(photos.parent / "out") as manifest:
            far = list(embed_on_cluster(cluster, Ledger(registry, light.name, manifest, settings), items))
        results = [outcome.result for outcome in far]
        assert [outcome.error for outcome in far] == [None] * 2
        assert [(one.written.frames, one.written.labelled) for one in results if one] == [(1, True), (2, True)]
        for outcome in far:  # the local engine, given the same id, writes the same bytes
            assert isinstance(outcome.result, EmbedResult)
            item, word = outcome.item, outcome.result.entry.word
            ready = loaded.load(item.source.location, item.target, frames=True, label="acme", quality=95)
            (pixels,) = mark_link.mark(light, [ready], [word], 36.0)
            content, _, _ = loaded.encode(ready, pixels, loaded.link_label(ready, word))
            assert content == Path(item.target).read_bytes()
        sources = find_sources([str(photos.parent / "out")])
        read = list(detect_on_cluster(cluster, registry, sources, frames=True))
        assert [outcome.label_agrees for outcome in read] == [True, True]
        assert [[r.link for r in outcome.readings] for outcome in read] == [
            [one.result.entry.link] for one in far if isinstance(one.result, EmbedResult)
        ]
        with Manifest(photos.parent / "out") as manifest:
            ledger = Ledger(registry, light.name, manifest, settings)
            again = list(embed_on_cluster(cluster, ledger, items, resume=True))
            ledger = Ledger(registry, light.name, manifest, replace(settings, strength=40.0))
            other = list(embed_on_cluster(cluster, ledger, items[:1], resume=True))
        assert [outcome.earlier is not None for outcome in again] == [True, True]
        assert isinstance(other[0].result, EmbedResult)
        assert other[0].result.written.notes[-1] == "marked again: strength was 36 dB, is 40 dB"

    def test_records_as_on_the_local_engine(self, address: str, tmp_path: Path) -> None:
        folder = tmp_path / "photos"
        folder.mkdir()
        for seed in (0, 1):
            Image.fromarray(smooth_picture(600, 800, seed=seed)).save(folder / f"{seed}.png")
        (folder / "broken.png").write_bytes(b"")
        items, marker = plan(folder, Fields(owner="acme", time="2026-11-22T09:30:00Z")), handmade_marker()
        settings = Settings("record", 34.0, label=True)
        near = list(embed_records_locally(marker, Book(marker.name, None, settings), items, workers=1))
        content = [Path(item.target).read_bytes() for item in items[:2]]
        cluster = Cluster(handmade_marker, address, 2)
        with Manifest(tmp_path / "out") as manifest:
            book = Book(marker.name, manifest, settings)
            far = list(embed_records_on_cluster(cluster, book, items))
        assert [Path(item.target).read_bytes() for item in items[:2]] == content
        assert [str(one.error) for one in far] == [str(one.error) for one in near]
        for one, other in zip(far[:2], near[:2], strict=True):
            assert one.result is not None and other.result is not None
            values = one.result.to_dict()
            assert values | {"notes": []} == other.result.to_dict() and values["notes"] == [
                "replaced an earlier output"
            ]
        with Manifest(tmp_path / "out") as manifest:
            book = Book(marker.name, manifest, settings)
            again = list(embed_records_on_cluster(cluster, book, items, resume=True))
        assert [one.earlier is not None for one in again] == [True, True, False]

    def test_a_killed_worker_costs_no_file_and_no_id(
        self,
        address: str,
        light: Watermarker,
        registry_url: str,
        photos: Path,
        tmp_path: Path,
    ) -> None:
        for number in range(9):
            (photos / f"d{number}.png").write_bytes((photos / "a.png").read_bytes())
        flag = tmp_path / "flag"
        flag.touch()
        items, registry = plan(photos), Registry.open(registry_url)
        with Manifest(photos.parent / "out") as manifest:
            ledger = Ledger(registry, light.name, manifest)
            outcomes = list(embed_on_cluster(Cluster(partial(mortal, flag), address, workers=2), ledger, items))
        assert not flag.exists()
        assert [outcome.error for outcome in outcomes] == [None] * 12
        states = check(registry, light)
        assert len(list(registry.list())) == 12 and set(states.values()) == {"marked"}
        assert sum(line["status"] == "marked" for line in lines(photos)) == 12

    def test_an_address_without_a_cluster(self, tmp_path: Path) -> None:
        with pytest.raises(PlanError, match=r"--address 127\.0\.0\.1:1: expected a Ray cluster"):
            next(detect_on_cluster(Cluster(handmade_marker, "127.0.0.1:1"), None, find_sources([str(tmp_path)])))
