"""Several machines that serve as one: what one of them has made, any other gives out, and all count together."""

from __future__ import annotations

import io
import os
import shutil
import time
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from limits.storage import MemoryStorage
from PIL import Image

from tests.wam.service.jobs import archive, finished
from tests.wam.service.served import GENEROUS, Served, Threads, in_threads, picture, upload
from wam.errors import OptionsError
from wam.service.problems import Problem
from wam.service.rates import Rates
from wam.service.roles import Role
from wam.service.settings import Limits
from wam.service.shared import SharedResults, Store


@pytest.fixture(params=["folder", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store: a folder, as machines mount one, or objects."""
    return str(tmp_path / "shared") if request.param == "folder" else f"memory://{uuid4().hex}"


@pytest.fixture
def pair(tmp_path: Path, url: str) -> Iterator[tuple[Served, Served]]:
    """Two machines with one registry, one file of keys and one store."""
    with ExitStack() as stack:
        first, second = (stack.enter_context(in_threads(tmp_path, shared=url)) for _ in range(2))
        yield first, second


@contextmanager
def at(other: Served, client: httpx.Client) -> Iterator[httpx.Client]:
    """Who asks one machine, at another."""
    with httpx.Client(base_url=other.url, headers=client.headers, timeout=60) as there:
        yield there


def test_overlays_are_given_out_by_every_machine_to_whom_they_were_made_for(pair: tuple[Served, Served]) -> None:
    first, second = pair
    marked = first[Role.MARKER].post("/v1/embed", **upload(picture(seed=1), asset="1", owner="acme")).content
    said = first.anyone.post("/v1/detect?overlay=true", **upload(marked)).json()
    overlay = second.anyone.get(said["overlay"])
    assert overlay.headers["content-type"] == "image/jpeg"
    assert Image.open(io.BytesIO(overlay.content)).format == "JPEG"
    assert Image.open(io.BytesIO(second.anyone.get(said["masks"][0]).content)).size == (128, 128)
    for client in (first, second):
        assert client[Role.ADMIN].get(said["overlay"]).status_code == 404
    for token in ("guess", "j", "jguess", "p..%2F..%2Fjobs"):
        assert second.anyone.get(f"/v1/results/{token}").status_code == 404


def test_jobs_are_asked_for_at_any_machine(pair: tuple[Served, Served]) -> None:
    first, second = pair
    files = archive({"a.png": picture(seed=2), "b.png": picture(seed=3), "c.png": b"no picture"})
    form: dict[str, Any] = {"files": {"file": ("x.zip", files)}, "data": {"owner": "acme", "asset_from": "name"}}
    started = first[Role.MARKER].post("/v1/jobs/embed", **form)
    job, lines = finished(first, started)
    with at(second, first[Role.MARKER]) as client:
        end = time.monotonic() + 30
        while (far := client.get(started.headers["location"]).json()) != job:  # told a moment after it is so here
            assert time.monotonic() < end
            time.sleep(0.02)
        assert far["marked"] == 2 and far["failed"] == 1
        assert len(client.get(far["results"]).text.splitlines()) == len(lines) == 3
        with zipfile.ZipFile(io.BytesIO(client.get(far["files"]).content)) as opened:
            assert sorted(opened.namelist()) == ["a.png", "b.png"]
        assert second[Role.AUDITOR].get(started.headers["location"]).status_code == 404  # another key's
        assert client.delete(started.headers["location"]).status_code == 204
        assert client.get(started.headers["location"]).status_code == 404


def test_a_job_is_taken_back_at_any_machine(pair: tuple[Served, Served]) -> None:
    first, second = pair
    pool: Any = first.house.pool
    assert isinstance(pool, Threads)
    pool.gate.clear()
    files = [("file", (f"{n}.png", picture(seed=n))) for n in range(5)]
    started = first[Role.MARKER].post("/v1/jobs", files=files)
    place = started.headers["location"]
    with at(second, first[Role.MARKER]) as client:
        assert client.get(place).json()["state"] == "running"
        assert client.delete(place).status_code == 204
        time.sleep(1.1)  # after which it is told again how far the job is
        pool.gate.set()
        end = time.monotonic() + 30
        while first[Role.MARKER].get(place).status_code != 404 or client.get(place).status_code != 404:
            assert time.monotonic() < end
            time.sleep(0.05)


@pytest.mark.parametrize("id", ["..", "x" * 16 + "/..", "%2e%2e%2fresults", "x" * 16, "x" * 1000])
def test_ids_lead_nowhere_else(pair: tuple[Served, Served], id: str) -> None:
    assert pair[0][Role.ADMIN].get(f"/v1/jobs/{id}").status_code in (404, 405)


def test_results_go_after_a_while_and_the_oldest_first(url: str) -> None:
    store = Store(url)
    kept = SharedResults(store, seconds=60, most=10)
    first = kept.put(b"12345678", "image/png", "me")
    time.sleep(0.02)
    second = kept.put(b"1234", "image/jpeg", "me")
    kept.sweep()
    assert kept.get(first, "me") is None and kept.get(second, "me") == (b"1234", "image/jpeg")
    assert kept.get(second, "you") is None
    old = SharedResults(store, seconds=0.01, most=100)
    time.sleep(0.05)
    assert old.get(second, "me") is None
    old.sweep()
    assert store.list("results") == []


def test_a_store_that_does_not_answer_is_a_problem_and_no_fault(tmp_path: Path) -> None:
    with pytest.raises(OptionsError, match="shared: expected a folder or URL that can be used"):
        Store("nonsense://x")
    place = tmp_path / "shared"
    with in_threads(tmp_path, shared=str(place)) as served:
        marked = served[Role.MARKER].post("/v1/embed", **upload(picture(seed=1), asset="1", owner="acme")).content
        shutil.rmtree(place)
        place.write_text("no folder")
        answer = served.anyone.post("/v1/detect?overlay=true", **upload(marked))
        assert answer.status_code == 503 and answer.json()["detail"].startswith("store: expected it to answer")
        assert served.anyone.post("/v1/detect", **upload(marked)).status_code == 200


class Everybodys(MemoryStorage):
    """Counts that all services of this process have in common, as a server of such would."""

    STORAGE_SCHEME = ["everybodys"]  # noqa: RUF012 - as the package wants it
    counts = MemoryStorage()

    def __init__(self, uri: str | None = None, wrap_exceptions: bool = False, **_: str) -> None:
        super().__init__(uri, wrap_exceptions)
        self.storage, self.events, self.expirations = self.counts.storage, self.counts.events, self.counts.expirations


class Away(MemoryStorage):
    """Counts at a server that is away."""

    STORAGE_SCHEME = ["away"]  # noqa: RUF012

    def acquire_entry(self, *_: object, **__: object) -> bool:
        raise ConnectionError("away")


def test_all_machines_count_requests_together(tmp_path: Path) -> None:
    limits = Limits(address_rate=5)
    with ExitStack() as stack:
        both = [stack.enter_context(in_threads(tmp_path, limits, rates="everybodys://")) for _ in range(2)]
        answers = [both[n % 2].anyone.get("/v1/results/none").status_code for n in range(7)]
    assert answers == [404] * 5 + [429] * 2


def test_what_cannot_be_counted_is_not_let_in(tmp_path: Path) -> None:
    with in_threads(tmp_path, GENEROUS, rates="away://") as served:
        answer = served.anyone.get("/v1/results/none")
        assert answer.status_code == 503 and "expected to count requests" in answer.json()["detail"]
        assert served.anyone.get("/healthz").status_code == 200
    for place in ("nonsense://x", "", "redis"):
        with pytest.raises(OptionsError, match="rates: expected a URL like"):
            Rates(Limits(), place)


def test_machines_each_count_where_nothing_is_shared() -> None:
    first, second = Rates(replace(GENEROUS, address_rate=1)), Rates(replace(GENEROUS, address_rate=1))
    first.request("address x", None)
    second.request("address x", None)
    with pytest.raises(Problem, match="at most 1 requests a minute"):
        first.request("address x", None)


@pytest.mark.skipif("WAM_TEST_RATES" not in os.environ, reason="needs a server that counts, named by WAM_TEST_RATES")
def test_a_real_server_counts() -> None:
    """With redis://127.0.0.1:6379 say, and the package redis."""
    client, place = uuid4().hex, os.environ["WAM_TEST_RATES"]
    first, second = (Rates(Limits(address_rate=3), place) for _ in range(2))
    for one in (first, second, first):
        one.request(client, None)
    with pytest.raises(Problem, match="at most 3 requests a minute"):
        second.request(client, None)
