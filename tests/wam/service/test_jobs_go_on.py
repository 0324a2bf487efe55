"""Jobs outlive the service that began them: what was not done is done by the next, and nothing is marked twice."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from payload.registry import Registry
from tests.wam.cli.commands import check_contract
from tests.wam.service.jobs import archive, finished, until
from tests.wam.service.served import GENEROUS, Served, Threads, in_threads, picture, upload
from wam.service.job_files import JobFiles, Standing, ids
from wam.service.presence import LOST_SECONDS, Presence
from wam.service.roles import Role
from wam.service.shared import Store

PICTURES = {f"{number}.png": picture(seed=number, size=(96, 96)) for number in range(6)}
KILLED_AT = 3  # confirmations: one picture is kept then whose id is pending, and lines are not told yet
SERVICE = f"""
import os, signal, sys, time
from pathlib import Path
from payload.registry import Registry
from tests.wam.service.served import in_threads
confirm, count = Registry.confirm, 0
def killed(self, *given, **named):
    global count
    count += 1
    if count == {KILLED_AT}:
        os.kill(os.getpid(), signal.SIGKILL)
    return confirm(self, *given, **named)
Registry.confirm = killed
folder = Path(sys.argv[1])
with in_threads(folder, shared=str(folder / "shared")) as served:
    Path(folder / "url.part").write_text(served.url)
    os.rename(folder / "url.part", folder / "url")
    time.sleep(120)
"""


@contextmanager
def keyed(served: Served, headers: Any) -> Iterator[httpx.Client]:
    """Who asked an earlier service, at this one."""
    with httpx.Client(base_url=served.url, headers=headers, timeout=60) as client:
        yield client


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
@pytest.mark.parametrize(("new_link", "beside"), [pytest.param("false", False, marks=pytest.mark.slow), ("true", True)])
def test_a_job_of_a_service_that_was_killed_is_gone_on_with(tmp_path: Path, new_link: str, beside: bool) -> None:
    """By one that runs ``beside`` it on the same store, or by the next."""
    place_of = str(tmp_path / "shared")
    with ExitStack() as stack:
        second = stack.enter_context(in_threads(tmp_path, shared=place_of, sweep_seconds=0.3)) if beside else None
        headers, place = killed_in_a_job(tmp_path, new_link)
        registry = Registry.open(str(tmp_path / "registry.sqlite"))
        before = {entry.link: entry.state for entry in registry.entries()}
        if second is None:
            assert sorted(before.values()) == ["marked"] * (KILLED_AT - 1) + ["pending"]
            second = stack.enter_context(in_threads(tmp_path, shared=place_of, sweep_seconds=0.3))
        with keyed(second, headers) as client:
            check_gone_on_with(second, client, place, registry, before)
    store = tmp_path / "shared"
    assert [one.name for one in (store / "jobs").rglob("*") if "upload" in one.name] == []
    assert list((store / "owners").iterdir()) == []  # that of the one that was killed is swept


def killed_in_a_job(tmp_path: Path, new_link: str) -> tuple[dict[str, str], str]:
    """A service takes a job and is killed: what its key is sent with, and where the job is asked for."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVICE, str(tmp_path)], env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    try:
        until((tmp_path / "url").exists, 120)
        from wam.service.api_keys import KeyStore

        key, _ = KeyStore(tmp_path / "api-keys.json").new("killed", Role.MARKER)
        headers = {"Authorization": f"Bearer {key}"}
        form = {"owner": "acme", "asset_from": "name", "new_link": new_link}
        started = httpx.post(
            f"{(tmp_path / 'url').read_text()}/v1/jobs/embed", headers=headers, data=form, timeout=60,
            files={"file": ("x.zip", archive(PICTURES))},
        )  # fmt: skip
        assert started.status_code == 202, started.text
        assert process.wait(60) == -signal.SIGKILL
    finally:
        process.kill()
    return headers, started.headers["location"]


def check_gone_on_with(
    served: Served, client: httpx.Client, place: str, registry: Registry, before: dict[str, str]
) -> None:
    """That all pictures are marked in the end, each once, with the ids ``before`` among those that they have."""
    assert client.get(place).json()["total"] == 6
    job = until(lambda: (one := client.get(place).json())["state"] != "running" and one)
    assert (job["state"], job["done"], job["marked"], job["failed"]) == ("done", 6, 6, 0)
    lines = [json.loads(line) for line in client.get(job["results"]).text.splitlines()]
    assert sorted(line["image"] for line in lines) == sorted(PICTURES)
    with zipfile.ZipFile(io.BytesIO(client.get(job["files"]).content)) as opened:
        files = {name: opened.read(name) for name in opened.namelist()}
    links = {line["output"]: line["link"] for line in lines}
    entries = {entry.link: entry for entry in registry.entries()}
    assert all(entry.state == "marked" for entry in entries.values())
    assert entries.keys() == set(links.values()) >= before.keys()  # each id has its picture, and no picture two
    for name, file in files.items():
        (mark,) = served[Role.AUDITOR].post("/v1/detect", **upload(file)).json()["watermarks"]
        assert (mark["link"], mark["record"]["asset"]) == (links[name], Path(name).stem)


def start(served: Served, **form: str) -> httpx.Response:
    return served[Role.MARKER].post("/v1/jobs/embed", files={"file": ("x.zip", archive(PICTURES))}, data=form)


def test_a_service_that_ends_lets_its_jobs_go_to_another(tmp_path: Path) -> None:
    with in_threads(tmp_path, jobs=tmp_path / "jobs") as first:
        pool: Any = first.house.pool
        assert isinstance(pool, Threads)
        pool.gate.clear()
        started = start(first, owner="acme", asset="1")
        headers = first[Role.MARKER].headers
    assert [entry.state for entry in Registry.open(str(tmp_path / "registry.sqlite")).entries()] != []
    with in_threads(tmp_path, jobs=tmp_path / "jobs") as second, keyed(second, headers) as client:
        place = started.headers["location"]
        until(lambda: client.get(place).json()["state"] == "done")
        job = client.get(place).json()
        assert job["marked"] == 6 and client.get(job["files"]).status_code == 200
        assert sum(entry.state == "marked" for entry in second.house.registry.entries()) == 6
        assert client.delete(place).status_code == 204 and client.get(place).status_code == 404
    assert list((tmp_path / "jobs" / "jobs").iterdir()) == []


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store") if request.param == "folder" else f"memory://{uuid4().hex}")


def test_one_service_of_several_takes_a_job_up(store: Store) -> None:
    files = JobFiles(store, "x" * 16)
    assert files.claim(1) and not JobFiles(store, "x" * 16).claim(1) and not files.is_old_claim(1)
    assert files.is_claimed(1) and not files.is_claimed(2) and files.claim(2)
    assert files.standing() is None and ids(store) == ["x" * 16]


def test_who_is_gone_is_known_by_a_lock_or_by_silence(store: Store) -> None:
    me, other = Presence(store), Presence(store)
    now = time.time()
    if store.path("x") is not None and sys.platform != "win32":
        assert not me.is_gone(other.name, now - 10 * LOST_SECONDS)  # silent, but there
        other.close()
        assert me.is_gone(other.name, now)
    assert not me.is_gone("elsewhere-1", now - LOST_SECONDS + 20) and me.is_gone("elsewhere-1", now - LOST_SECONDS - 1)
    assert me.is_gone(None, now)
    me.close()


@pytest.mark.parametrize("id", ["..", "x", "../results", "x" * 17])
def test_a_name_that_is_no_job_is_not_looked_for(store: Store, id: str) -> None:
    store.put("job.json", json.dumps({"client": "a", "said": {}, "at": 0, "owner": None}).encode())
    assert JobFiles(store, id).standing() is None


def test_lines_are_given_out_once_whoever_has_done_a_picture_twice(store: Store) -> None:
    files = JobFiles(store, "x" * 16)
    files.put_lines(0, 0, {2: '{"a": 1}', 0: "{}"})
    files.put_lines(1, 0, {2: '{"a": 2}', 11: "[]"})
    assert list(files.lines()) == [(2, '{"a": 1}'), (0, "{}"), (11, "[]")]


def test_results_go_when_their_time_is_over_and_a_job_that_ends_services_fails(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "jobs"))
    said = {"id": "", "kind": "detect", "state": "done", "passed_over": 0, "files": None}
    old, new, deadly = (letter * 16 for letter in "abc")
    JobFiles(store, old).put_standing(Standing("key 1", said, time.time() - GENEROUS.job_seconds - 1, None))
    JobFiles(store, new).put_standing(Standing("key 1", said, time.time(), None))
    with in_threads(tmp_path, jobs=tmp_path / "jobs") as served:
        until(lambda: ids(store) == [new])
        answer = served[Role.MARKER].post("/v1/jobs", files={"file": ("a.png", PICTURES["0.png"])})
        job, _ = finished(served, answer)
        plan = JobFiles(store, job["id"]).plan()
    assert plan is not None
    files = JobFiles(store, deadly)
    files.put_plan(plan)
    files.put_standing(Standing("key 1", {**said, "state": "running"}, time.time(), "gone-1", tries=5, claim=4))
    files.put_standing(Standing("key 1", {**said, "state": "running"}, 0.0, "gone-1", tries=5, claim=4))
    with in_threads(tmp_path, jobs=tmp_path / "jobs") as served:
        place = f"/v1/jobs/{deadly}"
        until(lambda: served[Role.ADMIN].get(place).json()["state"] == "failed")


ROWS = "path,asset,owner,user,time\n0.png,first,,u-0,\nsub/1.png,second,other,,2026-01-02T03:04:05Z\n"


def listed(served: Served, rows: bytes | str, role: Role = Role.MARKER, **form: str) -> httpx.Response:
    files = {"0.png": PICTURES["0.png"], "sub/1.png": PICTURES["1.png"]}
    parts = {"file": ("x.zip", archive(files)), "list": ("rows.csv", rows)}
    return served[role].post("/v1/jobs/embed", files=parts, data=form)


def test_a_list_says_what_each_picture_is_marked_as(served: Served) -> None:
    job, lines = finished(served, listed(served, ROWS, owner="acme", user="common"))
    assert job["marked"] == 2
    by_name = {line["image"]: line for line in lines}
    for line in lines:
        check_contract(line)
    first, second = (by_name[name]["record"] for name in ("0.png", "sub/1.png"))
    assert (first["asset"], first["owner"], first["user"]) == ("first", "acme", "u-0")
    expected = {"asset": "second", "owner": "other", "user": "common", "ingested_at": "2026-01-02T03:04:05Z"}
    assert second == expected
    entry = served[Role.AUDITOR].get(f"/v1/records/{by_name['sub/1.png']['link']}").json()
    assert entry["record"] == expected


@pytest.mark.parametrize(
    ("rows", "form", "said"),
    [
        ("path,asset\n0.png,a\n", {"owner": "a"}, "expected a row with path sub/1.png in rows.csv, found none"),
        (ROWS, {"owner": "a", "asset": "1"}, "asset: expected asset, asset_from=name or a list"),
        (ROWS, {}, "rows.csv: 0.png: owner: expected one, found none"),
        ("name,asset\n", {"owner": "a"}, "rows.csv: expected the columns path, asset"),
        ("path,asset,asset\n", {"owner": "a"}, "rows.csv: expected the columns path, asset"),
        (b"path,asset\n\xff,\n", {"owner": "a"}, "rows.csv: expected a CSV file in UTF-8"),
        ("path,asset\n0.png,a\n0.png,b\n", {"owner": "a"}, "rows.csv: row 3: expected each path once"),
        ("path,asset,time\n0.png,a,noon\nsub/1.png,b,\n", {"owner": "a"}, "rows.csv: 0.png: time: expected RFC 3339"),
    ],
)
def test_a_list_that_makes_no_sense_is_refused_whole(
    served: Served, rows: bytes | str, form: dict[str, str], said: str
) -> None:
    in_use = len(served.house.registry.words())
    answer = listed(served, rows, **form)
    assert answer.status_code == 400 and answer.json()["detail"].startswith(said), answer.text
    assert len(served.house.registry.words()) == in_use


def test_a_list_gives_a_key_no_other_owner(served: Served) -> None:
    key, _ = served.keys.new("shop", Role.MARKER, owner="acme")
    parts = {"file": ("0.png", PICTURES["0.png"]), "list": ("rows.csv", "path,asset,owner\n0.png,a,else\n")}
    headers = {"Authorization": f"Bearer {key}"}
    assert served.anyone.post("/v1/jobs/embed", files=parts, headers=headers).status_code == 403
    parts["list"] = ("rows.csv", "path,asset\n0.png,a\n")
    assert served.anyone.post("/v1/jobs/embed", files=parts, headers=headers).status_code == 202


def test_what_lies_in_the_store_and_is_no_job_of_this_version_holds_no_other_up(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "jobs"))
    said = {"id": "", "kind": "detect", "state": "running", "passed_over": 0, "files": None}
    cut, foreign, planless, newer = (letter * 16 for letter in "abcn")
    store.put(f"jobs/{cut}/job.json", b'{"client": "key 1", "sa')
    store.put(f"jobs/{foreign}/job.json", b'{"client": 5, "said": {}, "at": "x"}')
    JobFiles(store, planless).put_standing(Standing("key 1", said, 0.0, None))
    store.put(f"jobs/{planless}/plan.json", b'{"members": [{"other": 1}]}')
    with in_threads(tmp_path, jobs=tmp_path / "jobs") as first:
        files = {"file": ("x.zip", archive(PICTURES))}
        headers = first[Role.MARKER].headers
        job, lines = finished(first, first[Role.MARKER].post("/v1/jobs", files=files))
        plan = JobFiles(store, job["id"]).plan()
    assert plan is not None and len(lines) == 6
    told = JobFiles(store, newer)
    told.put_plan(plan)
    told.put_upload(0, io.BytesIO(archive(PICTURES)))
    told.put_lines(0, 0, {0: json.dumps(lines[0])})
    store.put(f"jobs/{newer}/results-0000-000001.jsonl", b'1\t{"image": "1.pn')
    told.put_standing(Standing(json.loads(_standing(store, job["id"]))["client"], {**said, "id": newer}, 0.0, None))
    added = {**json.loads(_standing(store, newer)), "of_a_later_version": 1}
    store.put(f"jobs/{newer}/job.json", json.dumps(added).encode())
    with in_threads(tmp_path, jobs=tmp_path / "jobs") as second, keyed(second, headers) as client:
        until(lambda: second[Role.ADMIN].get(f"/v1/jobs/{newer}").json()["state"] == "done")
        assert client.get(f"/v1/jobs/{newer}").json()["done"] == 6
        assert len(client.get(f"/v1/jobs/{newer}/results").text.splitlines()) == 6
        assert second[Role.ADMIN].get(f"/v1/jobs/{planless}").json()["state"] == "failed"
        for id in (cut, foreign):
            assert second[Role.ADMIN].get(f"/v1/jobs/{id}").status_code == 404


def _standing(store: Store, id: str) -> bytes:
    content = store.get(f"jobs/{id}/job.json")
    assert content is not None
    return content
