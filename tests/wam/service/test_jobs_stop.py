"""Jobs that stop before all is done: the key that started one was revoked, or it cannot be gone on with."""

from __future__ import annotations

import asyncio
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.wam.service.jobs import archive, jobs_in, until
from tests.wam.service.served import Threads, in_threads, picture
from wam.service.api_keys import KeyStore
from wam.service.job import Job
from wam.service.job_files import JobFiles, Member, Plan, Standing
from wam.service.kept import PrivateFolder
from wam.service.problems import unavailable
from wam.service.roles import Role
from wam.service.shared import Store

PICTURES = {f"{number}.png": picture(seed=number, size=(96, 96)) for number in range(4)}


def test_a_job_stops_when_its_key_is_revoked_and_what_is_done_stays(tmp_path: Path) -> None:
    with in_threads(tmp_path, jobs=tmp_path / "jobs") as served:
        pool: Any = served.house.pool
        assert isinstance(pool, Threads)
        pool.gate.clear()
        key, made = served.keys.new("leaving", Role.MARKER)
        headers = {"Authorization": f"Bearer {key}"}
        form = {"owner": "acme", "asset_from": "name"}
        files = {"file": ("x.zip", archive(PICTURES))}
        started = served.anyone.post("/v1/jobs/embed", headers=headers, files=files, data=form)
        place = started.headers["location"]
        until(lambda: list(served.house.registry.entries()))  # the first is being marked
        served.keys.revoke(made.id)
        pool.gate.set()
        job = until(lambda: (one := served[Role.ADMIN].get(place).json())["state"] != "running" and one)
        assert (job["state"], job["total"], job["done"], job["marked"], job["failed"]) == ("stopped", 4, 1, 1, 0)
        assert job["reason"].startswith("key: expected the one that started the job to be valid, found it revoked")
        assert [entry.state for entry in served.house.registry.entries()] == ["marked"]
        content = served[Role.ADMIN].get(job["files"]).content
        with zipfile.ZipFile(io.BytesIO(content)) as opened:
            assert len(opened.namelist()) == 1 and opened.read(opened.namelist()[0])
        assert len(served[Role.ADMIN].get(job["results"]).text.splitlines()) == 1
        assert served.anyone.get(place, headers=headers).status_code == 401
    with in_threads(tmp_path, jobs=tmp_path / "jobs") as later:  # it is not gone on with
        assert later[Role.ADMIN].get(place).json() == job


def of_one_picture(store: Store) -> str:
    """A job that a service let go before it began."""
    id = "x" * 16
    files = JobFiles(store, id)
    files.put_upload(0, io.BytesIO(b"x"))
    files.put_plan(Plan(None, (Member(0, "a.png"),), 1))
    said = {"kind": "detect", "state": "running", "passed_over": 0, "files": None}
    files.put_standing(Standing("key 1", said, 0.0, None))
    return id


async def taken_up(store: Store, folder: PrivateFolder, may_go_on: Callable[[str], bool]) -> Job:
    """That job, when a service has done with it what it may."""
    jobs = jobs_in(store, folder)
    jobs.only_for(may_go_on)
    await jobs.sweep()
    job = await jobs.find("x" * 16, "key 1", any_client=False)
    assert isinstance(job, Job) and job.task is not None
    await asyncio.wait_for(job.task, 30)
    await jobs.close()
    return job


def test_a_job_of_a_key_that_was_revoked_is_not_begun_by_another_service(tmp_path: Path, folder: PrivateFolder) -> None:
    store = Store(str(tmp_path))
    id = of_one_picture(store)
    job = asyncio.run(taken_up(store, folder, lambda client: client != "key 1"))
    assert (job.state, job.done) == ("stopped", set())
    told = JobFiles(store, id).standing()
    assert told is not None and told.said["state"] == "stopped" and told.said["reason"] == job.reason


def test_keys_that_cannot_be_read_for_a_moment_hold_a_job_up_and_no_more(tmp_path: Path, folder: PrivateFolder) -> None:
    store = Store(str(tmp_path))
    of_one_picture(store)
    asked = list[str]()

    def may_go_on(client: str) -> bool:
        asked.append(client)
        if len(asked) == 1:
            raise unavailable("keys: away")
        return True

    job = asyncio.run(taken_up(store, folder, may_go_on))
    assert (job.state, job.done, job.failed, asked) == ("done", {0}, 0, ["key 1", "key 1"])


def test_a_client_without_a_key_of_the_file_is_not_valid(tmp_path: Path) -> None:
    keys = KeyStore(tmp_path / "keys.json")
    _, made = keys.new("one", Role.MARKER)
    assert keys.is_valid(made.client) and not keys.is_valid("address 127.0.0.1")
    KeyStore(keys.path).revoke(made.id)
    assert not keys.is_valid(made.client)
