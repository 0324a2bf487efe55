"""What the tests of the service share: services that run, on loopback, and workers that do as the tests need."""

from __future__ import annotations

import io
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import uvicorn
from PIL import Image

from payload.registry import Registry
from tests.wam.synthetic import handmade_marker, smooth_picture
from wam.service.api_keys import KeyStore
from wam.service.fetch_url import Fetcher
from wam.service.house import House
from wam.service.messages import Message
from wam.service.pool import Pool
from wam.service.roles import Role
from wam.service.server import config_of
from wam.service.settings import Limits, Settings
from wam.service.setup import Setup
from wam.service.work import Desk
from wam.service.worker import ClosedError, Lane
from wam.watermarker import Watermarker

GENEROUS = Limits(address_rate=100_000, key_rate=100_000, wrong_keys=100_000, at_once=1000, queue=1000)
SLEEPY, HUNGRY, DEADLY = 97, 98, 99  # widths of pictures that do something to whoever reads them


class Threads(Pool):
    """A pool whose workers are threads of this process: as quick as it gets, and what is in them can be looked at."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup, 1, memory=1 << 40, short_pixels=1 << 40, recycle=1 << 40)
        self.desk = Desk(setup)
        self.model = self.desk.marker.name
        self.executor = ThreadPoolExecutor(4)
        self.gate = threading.Event()  # held back where it is not set
        self.gate.set()

    @property
    def pids(self) -> list[int]:
        return [os.getpid()]

    def submit(
        self, said: dict[str, Any], *contents: bytes, seconds: float, lane: Lane = Lane.SHORT
    ) -> Future[Message]:
        def do() -> Message:
            assert self.gate.wait(60)
            return Message(*self._done(said, contents))

        try:
            return self.executor.submit(do)
        except RuntimeError:  # it was closed
            ended: Future[Message] = Future()
            ended.set_exception(ClosedError())
            return ended

    def _done(self, said: dict[str, Any], contents: tuple[bytes, ...]) -> tuple[dict[str, Any], tuple[bytes, ...]]:
        answer, files = self.desk.do({**said, "most_pixels": None}, contents)
        return answer, tuple(files)

    def close(self) -> None:
        self.gate.set()
        self.executor.shutdown()


@dataclass
class Served:
    """A service that runs: where, what is in it, and a client for each role."""

    url: str
    house: House
    keys: KeyStore
    clients: dict[Role, httpx.Client]

    def __getitem__(self, role: Role) -> httpx.Client:
        return self.clients[role]

    @property
    def anyone(self) -> httpx.Client:
        """A client without a key."""
        return self.clients[Role.ANONYMOUS]


@contextmanager
def running(house: House, folder: Path) -> Iterator[Served]:
    """Serves on a free port of loopback, with a key for each role."""
    keys = KeyStore(folder / "api-keys.json")
    config = config_of(house, keys, host="127.0.0.1", port=0)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    end = time.monotonic() + 60
    while not server.started:
        assert time.monotonic() < end and thread.is_alive()
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    clients = {Role.ANONYMOUS: httpx.Client(base_url=url, timeout=60)}
    for role in set(Role) - {Role.ANONYMOUS}:
        key, _ = keys.new(f"test {role}", role)
        clients[role] = httpx.Client(base_url=url, timeout=60, headers={"Authorization": f"Bearer {key}"})
    try:
        yield Served(url, house, keys, clients)
    finally:
        for client in clients.values():
            client.close()
        house.pool.close()
        server.should_exit = True
        thread.join(60)
        assert not thread.is_alive()


@contextmanager
def in_threads(
    folder: Path, limits: Limits = GENEROUS, *, fetcher: Fetcher | None = None, **settings: Any
) -> Iterator[Served]:
    """A service with threads in the place of processes, and a registry of its own."""
    place = str(folder / "registry.sqlite")
    registry = Registry.open(place)
    setup = Setup(handmade_marker, place, limits.max_pixels, limits.max_frames)
    house = House(Threads(setup), registry, Settings(limits, **settings), fetcher=fetcher)
    with running(house, folder) as served:
        yield served


def picture(*, seed: int = 0, size: tuple[int, int] = (128, 128), format: str = "PNG") -> bytes:
    """A picture's file; ``size`` is height and width."""
    stream = io.BytesIO()
    Image.fromarray(smooth_picture(*size, seed=seed)).save(stream, format)
    return stream.getvalue()


def upload(content: bytes, name: str = "in.png", **fields: str) -> dict[str, Any]:
    """A form for httpx."""
    return {"files": {"file": (name, content, "application/octet-stream")}, "data": fields}


def troubled_marker() -> Watermarker:
    """The light model, but that pictures of some widths keep it asleep, take all memory, or end the process."""
    marker = handmade_marker()
    look, look_at_many = marker.detect_and_explain, marker.detect_and_explain_many

    def troubled(pixels: Any, **how: Any) -> Any:
        _trouble(pixels.shape[1])
        return look(pixels, **how)

    def troubled_many(pictures: Any, **how: Any) -> Any:
        for pixels in pictures:
            _trouble(pixels.shape[1])
        return look_at_many(pictures, **how)

    object.__setattr__(marker, "detect_and_explain", troubled)
    object.__setattr__(marker, "detect_and_explain_many", troubled_many)
    return marker


def _trouble(width: int) -> None:
    if width == SLEEPY:
        time.sleep(600)
    if width == HUNGRY:
        hoard = [np.ones(1 << 22) for _ in range(256)]  # 8 GiB
        time.sleep(600 + len(hoard))
    if width == DEADLY:
        os.kill(os.getpid(), signal.SIGKILL)
