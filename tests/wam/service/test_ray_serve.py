"""The deployment file for Ray Serve, on a cluster of two nodes with a replica each, all of them on this machine."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

import wam
from payload.registry import Registry
from tests.wam.synthetic import smooth_picture
from wam.service.api_keys import KeyStore
from wam.service.roles import Role

pytest.importorskip("ray.serve", reason='needs the extra: pip install "ray[serve]"')

ROOT = Path(wam.__file__).parents[1]


def deployment() -> Any:
    specification = importlib.util.spec_from_file_location("ray_serve", ROOT / "deploy" / "ray_serve.py")
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules["ray_serve"] = module
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str, Path]]:
    """Where it answers, a marker's key, and the folder of registry and store."""
    from ray import cloudpickle
    from ray.cluster_utils import Cluster

    folder = tmp_path_factory.mktemp("ray")
    place = str(folder / "registry.sqlite")  # two replicas of one machine may share it
    Registry.open(place)
    key, _ = KeyStore(folder / "api-keys.json").new("ray", Role.MARKER)
    module = deployment()
    cloudpickle.register_pickle_by_value(module)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), *filter(None, sys.path)]))  # for the replicas
        patch.setenv("RAY_AUTH_TOKEN_PATH", str(folder / "token"))  # not in the home of whoever runs the tests
        patch.setenv("OMP_NUM_THREADS", "1")
        head = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": 80 << 20}
        nodes = Cluster(initialize_head=True, head_node_args=head)
        try:
            nodes.add_node(num_cpus=1, object_store_memory=80 << 20)
            yield from served_on(nodes.address, module, place, key, folder)
        finally:
            nodes.shutdown()


def served_on(address: str, module: Any, place: str, key: str, folder: Path) -> Iterator[tuple[str, str, Path]]:
    import ray
    from ray import serve

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    try:
        ray.init(address=address, log_to_driver=False)
        serve.start(proxy_location="HeadOnly", http_options={"host": "127.0.0.1", "port": port})
        options = module.Options(
            registry=place, shared=str(folder / "shared"), api_keys=folder / "api-keys.json", workers=1, rate=10_000
        )
        serve.run(module.service(options), name="wam")
        yield f"http://127.0.0.1:{port}", key, folder
    finally:
        serve.shutdown()
        ray.shutdown()


def test_both_replicas_serve_as_one(cluster: tuple[str, str, Path]) -> None:
    url, key, folder = cluster
    stream = io.BytesIO()
    Image.fromarray(smooth_picture(256, 256, seed=1)).save(stream, "PNG")
    with httpx.Client(base_url=url, timeout=120) as client:
        assert client.get("/readyz").json() == {"status": "ready"}
        assert client.post("/v1/embed").status_code == 401
        form: dict[str, Any] = {"files": {"file": ("in.png", stream.getvalue())}}
        headers = {"Authorization": f"Bearer {key}"}
        marked = client.post("/v1/embed", **form, data={"asset": "1", "owner": "acme"}, headers=headers)
        assert marked.status_code == 200, marked.text
        said = client.post("/v1/detect?overlay=true", files={"file": ("in.png", marked.content)}).json()
        assert [mark["marked_by"] for mark in said["watermarks"]] == ["acme"]
        for _ in range(8):  # by whichever replica: a file of the other is found through the store
            assert client.get(said["overlay"]).headers["content-type"] == "image/jpeg"
        job = client.post("/v1/jobs", files=[("file", (f"{n}.png", marked.content)) for n in range(3)], headers=headers)
        end = time.monotonic() + 120
        while (told := client.get(job.headers["location"], headers=headers).json())["state"] == "running":
            assert time.monotonic() < end
            time.sleep(0.2)
        assert told["found"] == 3
        lines = client.get(told["results"], headers=headers).text.splitlines()
        assert [json.loads(line)["watermarks"][0]["marked_by"] for line in lines] == ["acme"] * 3
    assert len(list((folder / "shared" / "owners").iterdir())) == 2  # a service each


def test_sqlite_by_url_is_for_one_replica_only() -> None:
    module = deployment()
    with pytest.raises(wam.WamError, match="registry: expected one that several machines can write to"):
        module.service(module.Options(registry="sqlite:///x", shared="s", api_keys="k"))
