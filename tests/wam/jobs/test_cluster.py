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

import wam
from payload.registry import Registry
from tests.payload.conftest import postgres_server, registry_url  # noqa: F401 - fixtures
from tests.wam.jobs.runs import check, lines, plan
from tests.wam.synthetic import handmade_marker, smooth_picture
from wam.jobs.engines.local import detect_locally, embed_locally
from wam.jobs.engines.ray_data import detect_on_cluster, embed_on_cluster
from wam.jobs.engines.ray_pool import Cluster
from wam.jobs.engines.steps import load_item
from wam.jobs.journal import Journal
from wam.jobs.link_mode import LinkMode
from wam.jobs.manifest import Manifest
from wam.jobs.plan import Fields, PlanError, find_sources
from wam.jobs.record_mode import RecordMode
from wam.pipeline.mark_link import mark_link
from wam.pipeline.options import MarkOptions
from wam.watermarker import Watermarker

ROOT = Path(wam.__file__).parents[1]


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
            far = list(embed_on_cluster(cluster, LinkMode(registry, Journal(light.name, manifest)), items))
        assert [outcome.item for outcome in far] == items
        assert [outcome.error is None for outcome in far] == [True, True, False, True]
        assert check(registry, light) == {"a": "marked", "b": "marked", "broken": "discarded", "c": "marked"}
        written = {
            item.source.name: Path(item.target).read_bytes() for item in items if item.source.name != "broken.png"
        }
        for outcome in far:
            if outcome.result is not None:  # the local engine, given the same id, writes the same bytes
                ready = load_item(outcome.item.source.location, outcome.item.target, MarkOptions())
                report = outcome.result.report
                alone = mark_link(light, ready, record=report.record, word=report.words[0])
                assert alone.content == written[outcome.item.source.name]
        with Manifest(photos.parent / "out") as manifest:
            near = list(embed_locally(light, LinkMode(registry, Journal(light.name, manifest)), items, resume=True))
        assert [outcome.earlier is not None for outcome in near] == [True, True, False, True]
        assert str(near[2].error) == str(far[2].error)
        self._reads_the_same(cluster, light, registry, photos.parent / "out")

    def _reads_the_same(self, cluster: Cluster, light: Watermarker, registry: Registry, out: Path) -> None:
        sources = find_sources([str(out), str(out / "none.png")])
        far = list(detect_on_cluster(cluster, registry, sources))
        near = list(detect_locally(light, registry, sources))
        assert [json.dumps(one.to_dict(model="", message=str(one.error))) for one in far] == [
            json.dumps(one.to_dict(model="", message=str(one.error))) for one in near
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
        settings = MarkOptions(strength=36.0, label=True, frames=True, quality=95)
        cluster = Cluster(handmade_marker, address, 2)
        with Manifest(photos.parent / "out") as manifest:
            far = list(embed_on_cluster(cluster, LinkMode(registry, Journal(light.name, manifest, settings)), items))
        results = [outcome.result for outcome in far]
        assert [outcome.error for outcome in far] == [None] * 2
        assert [(one.report.frames, one.report.labelled) for one in results if one] == [(1, True), (2, True)]
        for outcome in far:  # the local engine, given the same id, writes the same bytes
            assert outcome.result is not None
            item, report = outcome.item, outcome.result.report
            ready = load_item(item.source.location, item.target, settings)
            alone = mark_link(light, ready, record=report.record, word=report.words[0], options=settings)
            assert alone.content == Path(item.target).read_bytes()
        sources = find_sources([str(photos.parent / "out")])
        read = list(detect_on_cluster(cluster, registry, sources, frames=True))
        assert [outcome.findings and outcome.findings.label_agrees for outcome in read] == [True, True]
        assert [[r.link for r in outcome.readings] for outcome in read] == [
            [one.result.report.link] for one in far if one.result is not None
        ]
        with Manifest(photos.parent / "out") as manifest:
            ledger = LinkMode(registry, Journal(light.name, manifest, settings))
            again = list(embed_on_cluster(cluster, ledger, items, resume=True))
            ledger = LinkMode(registry, Journal(light.name, manifest, replace(settings, strength=40.0)))
            other = list(embed_on_cluster(cluster, ledger, items[:1], resume=True))
        assert [outcome.earlier is not None for outcome in again] == [True, True]
        assert other[0].result is not None
        assert other[0].result.notes[-1] == "marked again: strength was 36 dB, is 40 dB"

    def test_records_as_on_the_local_engine(self, address: str, tmp_path: Path) -> None:
        folder = tmp_path / "photos"
        folder.mkdir()
        for seed in (0, 1):
            Image.fromarray(smooth_picture(600, 800, seed=seed)).save(folder / f"{seed}.png")
        (folder / "broken.png").write_bytes(b"")
        items, marker = plan(folder, Fields(owner="acme", time="2026-11-22T09:30:00Z")), handmade_marker()
        settings = MarkOptions("record", 34.0, label=True)
        near = list(embed_locally(marker, RecordMode(Journal(marker.name, None, settings)), items, workers=1))
        content = [Path(item.target).read_bytes() for item in items[:2]]
        cluster = Cluster(handmade_marker, address, 2)
        with Manifest(tmp_path / "out") as manifest:
            far = list(embed_on_cluster(cluster, RecordMode(Journal(marker.name, manifest, settings)), items))
        assert [Path(item.target).read_bytes() for item in items[:2]] == content
        assert [str(one.error) for one in far] == [str(one.error) for one in near]
        for one, other in zip(far[:2], near[:2], strict=True):
            assert one.result is not None and other.result is not None
            values = one.result.to_dict()
            assert values | {"notes": []} == other.result.to_dict() and values["notes"] == [
                "replaced an earlier output"
            ]
        with Manifest(tmp_path / "out") as manifest:
            mode = RecordMode(Journal(marker.name, manifest, settings))
            again = list(embed_on_cluster(cluster, mode, items, resume=True))
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
            ledger = LinkMode(registry, Journal(light.name, manifest))
            outcomes = list(embed_on_cluster(Cluster(partial(mortal, flag), address, workers=2), ledger, items))
        assert not flag.exists()
        assert [outcome.error for outcome in outcomes] == [None] * 12
        states = check(registry, light)
        assert len(list(registry.list())) == 12 and set(states.values()) == {"marked"}
        assert sum(line["status"] == "marked" for line in lines(photos)) == 12

    def test_an_address_without_a_cluster(self, tmp_path: Path) -> None:
        with pytest.raises(PlanError, match=r"--address 127\.0\.0\.1:1: expected a Ray cluster"):
            next(detect_on_cluster(Cluster(handmade_marker, "127.0.0.1:1"), None, find_sources([str(tmp_path)])))
