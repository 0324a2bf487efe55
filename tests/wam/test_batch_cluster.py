"""The engine on Ray: a local cluster of two nodes does what the local engine does, also when a worker is killed."""

# ruff: noqa: F811 - fixtures of other modules are named again where they are used
from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from payload.registry import Registry
from tests.payload.conftest import postgres_server, registry_url  # noqa: F401 - fixtures
from tests.wam.synthetic import handmade_marker
from tests.wam.test_batch import check, lines, photos, plan  # noqa: F401 - a fixture among them
from wam.jobs import marking
from wam.jobs.cluster import Cluster, detect_on_cluster, embed_on_cluster
from wam.jobs.ledger import Ledger
from wam.jobs.local import detect_locally, embed_locally
from wam.jobs.manifest import Manifest
from wam.jobs.plan import PlanError, find_sources
from wam.marker import Watermarker

ROOT = Path(marking.__file__).parents[2]


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
                loaded = marking.load(outcome.item.source.location, outcome.item.target)
                (pixels,) = marking.mark(light, [loaded], [outcome.result.entry.word], None)
                assert marking.encode(light, loaded, pixels)[0] == written[outcome.item.source.name]
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
