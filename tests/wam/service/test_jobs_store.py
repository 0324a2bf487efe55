"""Jobs and a store that is slow, away for a moment, or holds what was left over."""

from __future__ import annotations

import asyncio
import io
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from payload.errors import RegistryError
from payload.registry import Registry
from tests.wam.service.jobs import finished, jobs_in
from tests.wam.service.served import in_threads, picture
from wam.service.job import Job
from wam.service.job_files import JobFiles, Member, Plan, Standing, ids
from wam.service.kept import PrivateFolder
from wam.service.problems import unavailable
from wam.service.roles import Role
from wam.service.shared import Found, Store


async def done(job: Job) -> None:
    assert job.task is not None
    await asyncio.wait_for(job.task, 30)


def test_others_are_told_of_a_job_while_its_upload_is_taken_over(tmp_path: Path, folder: PrivateFolder) -> None:
    going_on = threading.Event()

    class Slow(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            assert going_on.wait(30)
            return super().read(size)

    async def run() -> None:
        store = Store(str(tmp_path))
        jobs = jobs_in(store, folder)
        started = asyncio.create_task(jobs.start("key 1", [("a.png", Slow(b"x"))], "detect", None))
        while not (found := ids(store)) or (first := JobFiles(store, found[0]).standing()) is None:
            await asyncio.sleep(0.01)
        await jobs.sweep()
        second = JobFiles(store, found[0]).standing()
        assert second is not None and second.at > first.at and second.is_running
        going_on.set()
        job = await started
        await done(job)
        assert (job.state, job.to_dict()["done"]) == ("done", 1)
        await jobs.close()

    asyncio.run(run())


def test_a_store_that_is_away_when_all_is_done_costs_no_job(tmp_path: Path, folder: PrivateFolder) -> None:
    refused = list[str]()

    class Away(Store):
        def put(self, name: str, content: bytes) -> None:
            if b'"state": "done"' in content and not refused:
                refused.append(name)
                raise unavailable("store: away")
            super().put(name, content)

    async def run() -> None:
        store = Away(str(tmp_path))
        jobs = jobs_in(store, folder)
        job = await jobs.start("key 1", [("a.png", io.BytesIO(b"x"))], "detect", None)
        await done(job)
        told = JobFiles(store, job.id).standing()
        assert refused and job.state == "done" and told is not None and told.said["state"] == "done"
        await jobs.close()

    asyncio.run(run())


def test_who_takes_a_job_up_says_so_before_reading_what_was_done(tmp_path: Path, folder: PrivateFolder) -> None:
    seen = list[tuple[int, str | None]]()

    class Watched(Store):
        def list(self, folder: str, *, prefix: bool = False) -> list[Found]:
            if "results-" in folder:
                told = json.loads(self.get(f"jobs/{id}/job.json") or b"{}")
                seen.append((told["claim"], told["owner"]))
            return super().list(folder, prefix=prefix)

    id, store = "x" * 16, Watched(str(tmp_path))
    files = JobFiles(store, id)
    files.put_upload(0, io.BytesIO(b"x"))
    files.put_plan(Plan(None, (Member(0, "a.png"),), 1))
    said = {"kind": "detect", "state": "running", "passed_over": 0, "files": None}
    files.put_standing(Standing("key 1", said, 0.0, "gone-1"))

    async def run() -> None:
        jobs = jobs_in(store, folder)
        await jobs.sweep()
        job = await jobs.find(id, "key 1", any_client=False)
        assert isinstance(job, Job)
        await done(job)
        ((claim, owner),) = seen
        assert claim == job.claim == 1 and owner not in (None, "gone-1") and job.state == "done"
        await jobs.close()

    asyncio.run(run())


def test_what_is_left_of_a_job_that_was_removed_goes_too(tmp_path: Path, folder: PrivateFolder) -> None:
    store = Store(str(tmp_path))
    old, new = "a" * 16, "b" * 16
    for id in (old, new):
        store.put(f"jobs/{id}/marked.zip", b"x")
    place = store.path(f"jobs/{old}/marked.zip")
    assert place is not None
    os.utime(place, (0, 0))
    asyncio.run(jobs_in(store, folder).sweep())
    assert ids(store) == [new]


def test_a_picture_that_is_tried_again_keeps_its_new_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    confirm, away = Registry.confirm, [True]

    def confirm_later(self: Registry, *given: Any, **named: Any) -> Any:
        if away:
            away.clear()
            raise RegistryError("away")
        return confirm(self, *given, **named)

    monkeypatch.setattr(Registry, "confirm", confirm_later)
    with in_threads(tmp_path) as served:
        form = {"asset": "1", "owner": "acme", "new_link": "true"}
        answer = served[Role.MARKER].post("/v1/jobs/embed", files={"file": ("a.png", picture())}, data=form)
        job, (line,) = finished(served, answer)
        entries = [(entry.link, entry.state) for entry in served.house.registry.entries()]
    assert not away and job["marked"] == 1 and entries == [(line["link"], "marked")]
