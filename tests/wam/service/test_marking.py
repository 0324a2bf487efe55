"""Marking over HTTP: what comes back is what was registered, and what fails costs no id."""

from __future__ import annotations

import dataclasses
import email.parser
import email.policy
import io
import json
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.wam.cli.commands import check_contract
from tests.wam.service.jobs import archive, finished
from tests.wam.service.served import GENEROUS, Served, in_threads, picture, upload
from wam.service.problems import unavailable
from wam.service.roles import Role
from wam.service.shared import Store


def embed(served: Served, content: bytes, role: Role = Role.MARKER, **fields: str) -> httpx.Response:
    return served[role].post("/v1/embed", **upload(content, "in.png", **fields))


def test_a_marked_picture_comes_back_with_its_link(served: Served) -> None:
    answer = embed(served, picture(seed=5), asset="5", owner="acme", user="u", time="2026-01-02T03:04:05Z")
    assert answer.status_code == 200 and answer.headers["content-type"] == "image/png"
    assert "in.wm.png" in answer.headers["content-disposition"]
    entry = served[Role.AUDITOR].get(f"/v1/records/{answer.headers['wam-link']}").json()
    assert entry["state"] == "marked" and entry["phash"]
    assert entry["record"] == {"asset": "5", "owner": "acme", "user": "u", "ingested_at": "2026-01-02T03:04:05Z"}
    (mark,) = served[Role.AUDITOR].post("/v1/detect", **upload(answer.content)).json()["watermarks"]
    assert (mark["link"], mark["record"]) == (entry["link"], entry["record"])
    kept = served.house.registry.find_link(entry["link"])
    assert kept is not None and kept.sketch  # what parts of it are compared with


def test_who_accepts_both_gets_the_object_of_the_command_line_too(served: Served) -> None:
    form = upload(picture(seed=6), "b.png", asset="6", owner="acme", format="webp")
    answer = served[Role.MARKER].post("/v1/embed", **form, headers={"Accept": "multipart/mixed"})
    head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + answer.content)
    said, file = message.iter_parts()  # type: ignore[attr-defined]
    values = json.loads(said.get_content())
    check_contract(values)
    assert (values["link"], values["output"]) == (answer.headers["wam-link"], "b.wm.webp")
    assert file.get_content_type() == "image/webp"
    assert Image.open(io.BytesIO(file.get_payload(decode=True))).format == "WEBP"


def test_a_record_in_the_pixels_needs_no_link(served: Served) -> None:
    before = len(served.house.registry.words())
    answer = embed(served, picture(seed=7, size=(600, 800)), asset="7", owner="acme", mode="record", psnr="34")
    assert answer.status_code == 200, answer.text
    assert "wam-link" not in answer.headers and len(served.house.registry.words()) == before


@pytest.mark.parametrize(
    ("fields", "status", "said"),
    [
        ({}, 400, "asset: expected text that is not blank"),
        ({"asset": "1"}, 400, "owner: expected text that is not blank"),
        ({"asset": "1", "owner": "a", "psnr": "5"}, 400, "psnr: expected 30 to 55 dB, found 5"),
        ({"asset": "1", "owner": "a", "strength": "loud"}, 400, "strength: expected one of gentle"),
        ({"asset": "1", "owner": "a", "quality": "inf"}, 400, "quality: expected a number, found another"),
        ({"asset": "1", "owner": "a", "quality": "101"}, 400, "quality: expected 1 to 100, found 101"),
        ({"asset": "1", "owner": "a", "time": "yesterday"}, 400, "time: expected RFC 3339"),
        ({"asset": "1", "owner": "a", "mode": "both"}, 400, "mode: expected link or record, found both"),
        ({"asset": "1", "owner": "a", "label": "maybe"}, 400, "label: expected one of cn, eu, us-ca, in, found maybe"),
        ({"asset": "1", "owner": "a", "colour": "red"}, 400, "form: expected asset, owner"),
        ({"asset": "1", "owner": "a", "format": "../x"}, 400, "format: expected an extension"),
        ({"asset": "1", "owner": "a", "format": "doc"}, 422, "in.doc: expected"),
        ({"asset": "x" * 50_000, "owner": "a"}, 400, "form: expected one that can be read"),
    ],
)
def test_what_makes_no_sense_is_one_clear_line_and_costs_no_id(
    served: Served, fields: dict[str, str], status: int, said: str
) -> None:
    in_use = len(served.house.registry.words())
    answer = embed(served, picture(), **fields)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    assert said in answer.json()["detail"] and "\n" not in answer.json()["detail"]
    assert len(served.house.registry.words()) == in_use


@pytest.mark.parametrize("content", [b"", b"no picture", picture(size=(20, 20)), picture()[:300]])
def test_what_cannot_be_marked_gives_its_id_up(served: Served, content: bytes) -> None:
    in_use = len(served.house.registry.words())
    answer = embed(served, content, asset="1", owner="acme")
    assert answer.status_code == 422 and answer.json()["detail"].startswith("in.png: expected")
    assert len(served.house.registry.words()) == in_use


def test_a_key_for_one_owner_writes_no_other_s_records(served: Served) -> None:
    key, _ = served.keys.new("shop", Role.MARKER, owner="acme")
    headers = {"Authorization": f"Bearer {key}"}
    own = served.anyone.post("/v1/embed", **upload(picture(seed=8), asset="8"), headers=headers)
    assert own.status_code == 200
    other = served.anyone.post("/v1/embed", **upload(picture(seed=8), asset="8", owner="else"), headers=headers)
    assert other.status_code == 403 and "owner: expected the one" in other.json()["detail"]


def test_many_at_once_get_a_link_each(served: Served) -> None:
    def one(number: int) -> Any:
        return embed(served, picture(seed=20 + number), asset=f"many-{number}", owner="acme")

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(one, range(6)))
    links = {answer.headers["wam-link"] for answer in answers}
    assert len(links) == 6
    for number, answer in enumerate(answers):
        entry = served[Role.AUDITOR].get(f"/v1/records/{answer.headers['wam-link']}").json()
        assert entry["record"]["asset"] == f"many-{number}"


def test_a_record_that_has_no_room_is_the_picture_s_problem(served: Served) -> None:
    answer = embed(served, picture(size=(64, 64)), asset="1", owner="acme", mode="record")
    assert answer.status_code == 422 and answer.json()["detail"].startswith("in.png: ")


def test_the_same_picture_for_the_same_record_gets_the_same_link(served: Served) -> None:
    fields = {"asset": "again", "owner": "acme"}
    first, second = (embed(served, picture(seed=60), **fields) for _ in range(2))
    assert first.headers["wam-link"] == second.headers["wam-link"] and first.content == second.content
    other = embed(served, picture(seed=60), **fields, new_link="true")
    assert other.headers["wam-link"] != first.headers["wam-link"]
    assert embed(served, picture(seed=60), **fields, user="u").headers["wam-link"] != first.headers["wam-link"]


def start(served: Served, files: dict[str, bytes], role: Role = Role.MARKER, **fields: str) -> httpx.Response:
    parts = [("file", (name, content, "application/octet-stream")) for name, content in files.items()]
    return served[role].post("/v1/jobs/embed", files=parts, data=fields)


def marked_files(served: Served, job: dict[str, Any], role: Role = Role.MARKER) -> dict[str, bytes]:
    answer = served[role].get(job["files"])
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip"), answer.text
    with zipfile.ZipFile(io.BytesIO(answer.content)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def test_an_archive_is_marked_and_comes_back_as_one(served: Served) -> None:
    content = archive({
        "a.png": picture(seed=61), "folder/b.png": picture(seed=62), "broken.png": b"no picture", "notes.txt": b"text",
    })  # fmt: skip
    answer = start(served, {"photos.zip": content}, owner="job-1", asset_from="name", user="u")
    job, lines = finished(served, answer)
    assert {key: job[key] for key in ("kind", "state", "total", "done", "marked", "failed", "passed_over")} == {
        "kind": "embed", "state": "done", "total": 3, "done": 3, "marked": 2, "failed": 1, "passed_over": 1
    }  # fmt: skip
    by_name = {line["image"]: line for line in lines}
    for line in lines:
        check_contract(line)
    assert by_name["broken.png"]["error"].startswith("broken.png: expected") and by_name["broken.png"]["link"] is None
    files = marked_files(served, job)
    assert sorted(files) == ["a.png", "folder/b.png"]
    for name, file in files.items():
        (mark,) = served[Role.AUDITOR].post("/v1/detect", **upload(file)).json()["watermarks"]
        assert mark["link"] == by_name[name]["link"] and by_name[name]["output"] == name
        assert mark["record"] == by_name[name]["record"]
        assert (mark["record"]["asset"], mark["record"]["owner"]) == (Path(name).stem, "job-1")
    entries = list(served.house.registry.entries(owner="job-1"))
    assert sorted(entry.state for entry in entries) == ["discarded", "marked", "marked"]
    assert served[Role.AUDITOR].get(job["files"]).status_code == 404  # another key's
    assert served[Role.MARKER].delete(f"/v1/jobs/{job['id']}").status_code == 204
    assert served[Role.MARKER].get(job["files"]).status_code == 404


def test_a_job_that_is_sent_again_gets_the_same_links(served: Served) -> None:
    files = {"c.png": picture(seed=63), "d.png": picture(seed=64)}
    first, second = (finished(served, start(served, files, owner="job-2", asset="one")) for _ in range(2))
    links = [sorted(line["link"] for line in lines) for _, lines in (first, second)]
    assert links[0] == links[1] and len(set(links[0])) == 2
    assert marked_files(served, first[0]) == marked_files(served, second[0])
    assert all("earlier mark" in " ".join(line["notes"]) for line in second[1])


def test_names_of_a_job_lead_nowhere_else(served: Served) -> None:
    content = archive({"C:\\up.png": picture(seed=65), "/abs.png": picture(seed=66), "../../x.png": picture()})
    job, _ = finished(served, start(served, {"x.zip": content}, owner="job-3", asset_from="name", format="webp"))
    files = marked_files(served, job)
    assert sorted(files) == ["C_/up.webp", "abs.webp"] and all(file[:4] == b"RIFF" for file in files.values())


@pytest.mark.parametrize(
    ("fields", "status", "said"),
    [
        ({"owner": "a"}, 400, "asset: expected asset, asset_from=name or a list"),
        ({"owner": "a", "asset": "1", "asset_from": "name"}, 400, "asset: expected asset, asset_from=name or a list"),
        ({"owner": "a", "asset_from": "list"}, 400, "asset: expected asset, asset_from=name or a list"),
        ({"asset": "1"}, 400, "owner: expected text that is not blank"),
        ({"owner": "a", "asset": "1", "strength": "loud"}, 400, "strength: expected one of gentle"),
        (
            {"owner": "a", "asset": "1", "format": "png"},
            400,
            "job: expected another name for each picture, found a.png",
        ),
    ],
)
def test_a_job_that_makes_no_sense_is_refused_before_it_begins(
    served: Served, fields: dict[str, str], status: int, said: str
) -> None:
    in_use = len(served.house.registry.words())
    answer = start(served, {"a.png": picture(), "A.jpg": picture()}, **fields)
    assert answer.status_code == status and answer.json()["detail"].startswith(said), answer.text
    raw = served[Role.MARKER].post("/v1/jobs/embed", content=b"x", headers={"Content-Type": "application/zip"})
    assert raw.status_code == 415
    assert len(served.house.registry.words()) == in_use
    other = served.anyone.post("/v1/jobs/embed")
    assert other.status_code == 401


def test_a_job_marks_no_more_than_there_is_room_for(tmp_path: Path) -> None:
    limits = dataclasses.replace(GENEROUS, job_result_bytes=5 * len(picture()) // 2)
    with in_threads(tmp_path, limits) as served:
        files = {f"{n}.png": picture(seed=n) for n in range(3)}
        job, lines = finished(served, start(served, files, owner="a", asset_from="name"))
        said = [line["error"] for line in lines if line["error"] is not None]
        assert (job["marked"], len(said)) in ((1, 2), (2, 1)) and all("bytes of marked pictures" in one for one in said)
        assert len(marked_files(served, job)) == job["marked"] == len(served.house.registry.words())


def test_a_job_whose_results_cannot_be_written_says_that_it_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with in_threads(tmp_path, again_seconds=(0.05,)) as served:
        real = Store.put

        def full(self: Store, name: str, content: bytes) -> None:
            if "results" in name:
                raise unavailable("store: full")
            real(self, name, content)

        monkeypatch.setattr(Store, "put", full)
        answer = start(served, {"a.png": picture()}, owner="a", asset="1")
        assert answer.status_code == 202
        end = time.monotonic() + 90
        while (job := served[Role.MARKER].get(answer.headers["location"]).json())["state"] == "running":
            assert time.monotonic() < end
            time.sleep(0.05)
        assert job["state"] == "failed" and job["reason"] == "the service failed; its log says where"
        assert sorted(marked_files(served, job)) == ["a.png"]  # its id is confirmed: it is not lost
