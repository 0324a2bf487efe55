"""Workers are killed at random instants while pictures are marked, one by one and in a job: what was answered is in the
registry, what is in the registry was answered, and the service goes on."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from payload.registry import Registry
from tests.wam.service.jobs import archive, finished, until
from tests.wam.service.served import GENEROUS, Served, picture, running, upload
from tests.wam.synthetic import handmade_marker
from wam.service.house import House
from wam.service.pool import Pool
from wam.service.roles import Role
from wam.service.settings import Settings
from wam.service.setup import Setup

KILLS, REQUESTS, IN_JOB = 5, 12, 6
LONGEST_PAUSE = 0.2  # seconds between two kills

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")


@contextmanager
def in_processes(folder: Path) -> Iterator[tuple[Served, list[str]]]:
    """A service with two worker processes, and why they were replaced so far."""
    place = str(folder / "registry.sqlite")
    registry = Registry.open(place)
    pool = Pool(Setup(handmade_marker, place, 10**6, 10), 2, memory=3 << 30, short_pixels=10**6, recycle=10**6)
    house = House(pool, registry, Settings(GENEROUS, jobs=folder / "jobs"))
    told: list[str] = []
    pool.restarted = told.append
    pool.start()
    with running(house, folder) as served:
        yield served, told


def killing(pool: Pool, draw: random.Random, over: threading.Event) -> None:
    """Kills a worker now and then, as long as requests are under way and ``KILLS`` are not reached."""
    for _ in range(KILLS):
        if over.wait(draw.uniform(0, LONGEST_PAUSE)):
            return
        while not (pids := pool.pids):
            if over.wait(0.01):
                return
        with suppress(ProcessLookupError):
            os.kill(draw.choice(pids), signal.SIGKILL)


def test_nothing_is_lost_in_the_registry_when_workers_are_killed(tmp_path: Path) -> None:
    draw, over = random.Random(22), threading.Event()
    with in_processes(tmp_path) as (served, told), ThreadPoolExecutor(5) as executor:
        killer = threading.Thread(target=killing, args=(served.house.pool, draw, over))

        def mark(number: int) -> httpx.Response:
            form = upload(picture(seed=number, size=(96, 96)), asset=str(number), owner="one")
            return served[Role.MARKER].post("/v1/embed", **form)

        files = {f"{number}.png": picture(seed=100 + number, size=(96, 96)) for number in range(IN_JOB)}
        form = {"owner": "job", "asset_from": "name"}
        begun = served[Role.MARKER].post("/v1/jobs/embed", files={"file": ("x.zip", archive(files))}, data=form)
        killer.start()
        answers = list(executor.map(mark, range(REQUESTS)))
        job, lines = finished(served, begun)
        over.set()
        killer.join()
        entries = {entry.link: entry for entry in served.house.registry.entries()}
        states = {link: entry.state for link, entry in entries.items()}
        good = [answer for answer in answers if answer.status_code == 200]
        links = [answer.headers["wam-link"] for answer in good]
        links += [line["link"] for line in lines if line["error"] is None]
        refused = [answer for answer in answers if answer.status_code != 200]
        failed = [line for line in lines if line["error"] is not None]
        assert "died" in told and good  # it was killed in the middle, and not of all
        assert len(set(links)) == len(links) and {states[link] for link in links} == {"marked"}
        assert {link for link, state in states.items() if state == "marked"} == set(links)
        assert all(answer.status_code == 422 and "ended its readers" in answer.json()["detail"] for answer in refused)
        assert all("ended its readers" in line["error"] for line in failed)
        others = [state for state in states.values() if state != "marked"]
        assert set(others) <= {"discarded"} and len(others) <= len(refused) + len(failed)  # none hangs in between
        assert (job["done"], job["marked"]) == (IN_JOB, IN_JOB - len(failed))
        until(lambda: len(served.house.pool.pids) >= 2, seconds=120)
        (found,) = served[Role.AUDITOR].post("/v1/detect", **upload(good[0].content)).json()["watermarks"]
        assert found["link"] == links[0] and mark(REQUESTS).status_code == 200
