"""Reading over HTTP: pictures, what is none, overlays, jobs; every answer is the contract's or a problem."""

from __future__ import annotations

import io
import random
import struct
import time
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.wam.service.jobs import archive, finished
from tests.wam.service.served import Served, in_threads, picture, upload
from wam.service.kept import LOCK, KeptFiles, PrivateFolder
from wam.service.roles import Role
from wam.service.settings import Limits

PROBLEM = "application/problem+json"


@pytest.fixture(scope="module")
def marked(served: Served) -> bytes:
    answer = served[Role.MARKER].post("/v1/embed", **upload(picture(seed=50), asset="50", owner="acme"))
    assert answer.status_code == 200
    return answer.content


def test_a_form_and_a_body_are_read_alike(served: Served, marked: bytes) -> None:
    form = served.anyone.post("/v1/detect", **upload(marked, "name.png")).json()
    raw = served.anyone.post("/v1/detect?name=name.png", content=marked, headers={"Content-Type": "image/png"}).json()
    bare = served.anyone.post("/v1/detect", content=marked).json()
    assert form == raw and {**bare, "image": "name.png"} == raw
    assert (bare["image"], len(bare["watermarks"])) == ("upload", 1)


@pytest.mark.parametrize("name", ["../../etc/passwd.png", "C:\\photos\\passwd.png", "passwd.png"])
def test_a_name_is_only_that(served: Served, marked: bytes, name: str) -> None:
    assert served.anyone.post("/v1/detect", **upload(marked, name)).json()["image"] == "passwd.png"


def test_overlay_and_masks_are_there_for_whom_they_were_made(served: Served, marked: bytes) -> None:
    said = served.anyone.post("/v1/detect?overlay=true", **upload(marked)).json()
    assert len(said["masks"]) == 1
    overlay, mask = served.anyone.get(said["overlay"]), served.anyone.get(said["masks"][0])
    assert Image.open(io.BytesIO(overlay.content)).format == "JPEG"
    assert Image.open(io.BytesIO(mask.content)).size == (128, 128)
    assert served[Role.ADMIN].get(said["overlay"]).status_code == 404
    assert served.anyone.get("/v1/results/guess").status_code == 404
    plain = served.anyone.post("/v1/detect?overlay=true", **upload(picture(seed=51))).json()
    assert "overlay" not in plain and plain["watermarks"] == []


def test_kept_files_go_after_a_while_and_the_oldest_first() -> None:
    folder = PrivateFolder()
    kept = KeptFiles(folder, seconds=60, most=10)
    first, second = kept.put(b"12345678", "a/b", "me"), kept.put(b"1234", "a/b", "me")
    assert kept.get(first, "me") is None and kept.get(second, "me") == (b"1234", "a/b")
    there = len(list(folder.path.iterdir()))
    short = KeptFiles(folder, seconds=0.05, most=100)
    token = short.put(b"1", "a/b", "me")
    time.sleep(0.1)
    assert short.get(token, "me") is None and len(list(folder.path.iterdir())) == there
    assert folder.path.stat().st_mode & 0o077 == 0
    folder.close()
    assert not folder.path.exists()


def test_nothing_of_an_upload_is_left(tmp_path: Path, marked: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    with in_threads(tmp_path) as served:
        large = marked + b"\0" * (2 << 20)  # more than is kept in memory
        served.anyone.post("/v1/detect?overlay=true", **upload(large))
        (folder,) = temporary.iterdir()
        kept = [one for one in folder.iterdir() if one.is_file() and one.name != LOCK]
        assert len(kept) in (0, 2)  # overlay and mask, where the mark was read
        assert not any(marked in one.read_bytes() for one in folder.rglob("*") if one.is_file())
    assert list(temporary.iterdir()) == []


def bomb(width: int, height: int) -> bytes:
    """A PNG of so many pixels in a few hundred bytes."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(30_000, 30_000), (2**31 - 1, 2**31 - 1), (100_000, 1_000)])
def test_bombs_are_refused_before_they_are_decoded(served: Served, size: tuple[int, int]) -> None:
    begun = time.monotonic()
    answer = served.anyone.post("/v1/detect", **upload(bomb(*size), "bomb.png"))
    assert answer.status_code in (413, 422) and answer.headers["content-type"] == PROBLEM
    assert answer.json()["detail"].startswith("bomb.png: expected at most 50,000,000 pixels")
    assert time.monotonic() - begun < 20  # a machine may be busy; decoding takes minutes


def test_animations_are_bounded_too(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (64, 64), (n, 0, 0)) for n in range(20)]
    stream = io.BytesIO()
    frames[0].save(stream, "GIF", save_all=True, append_images=frames[1:])
    with in_threads(tmp_path, Limits(max_frames=10)) as served:
        still = served.anyone.post("/v1/detect", **upload(stream.getvalue(), "a.gif"))
        assert still.status_code == 422 and "one still picture" in still.json()["detail"]
        all_frames = served.anyone.post("/v1/detect?frames=true", **upload(stream.getvalue(), "a.gif"))
        assert all_frames.status_code == 413 and "found 20 frames of 64x64" in all_frames.json()["detail"]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("thorough=true&quick=true", "quick: expected without thorough, found both"),
        ("seconds=0", "seconds: "), ("seconds=nan", "seconds: "), ("seconds=x", "seconds: "), ("view=all", "view: "),
        ("overlay=perhaps", "overlay: "), ("name=" + "x" * 2000, "name: "),
    ],
)  # fmt: skip
def test_arguments_that_make_no_sense_are_said(served: Served, query: str, said: str) -> None:
    answer = served.anyone.post(f"/v1/detect?{query}", **upload(picture()))
    assert answer.status_code == 400 and answer.json()["detail"].startswith(said)


@pytest.mark.parametrize("kind", ["text/plain", "application/json", "application/x-www-form-urlencoded", "video/mp4"])
def test_other_types_are_not_taken(served: Served, kind: str) -> None:
    answer = served.anyone.post("/v1/detect", content=picture(), headers={"Content-Type": kind})
    assert answer.status_code == 415 and answer.json()["detail"].startswith("content-type: expected image/*")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--x",
        b"--x\r\n\r\n",
        b"--x\r\nContent-Disposition: form-data; name=file\r\n\r\nx",
        b"\0" * 100,
        b"--x--\r\n",
    ],
)
def test_forms_that_are_damaged_are_a_problem(served: Served, body: bytes) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = served.anyone.post("/v1/detect", content=body, headers=headers)
    assert answer.status_code in (400, 422) and answer.headers["content-type"] == PROBLEM
    headless = served.anyone.post("/v1/detect", content=body, headers={"Content-Type": "multipart/form-data"})
    assert headless.status_code == 400


def test_damaged_pictures_get_one_clear_answer_each(served: Served, marked: bytes) -> None:
    draw = random.Random(7)
    jpeg = io.BytesIO()
    Image.open(io.BytesIO(marked)).save(jpeg, "JPEG")
    for number in range(120):
        content = bytearray(marked if number % 2 else jpeg.getvalue())
        for _ in range(draw.randint(1, 20)):
            content[draw.randrange(len(content))] = draw.randrange(256)
        del content[draw.randrange(len(content)) :][: draw.randint(0, 100)]
        answer = served.anyone.post("/v1/detect", **upload(bytes(content), "damaged.png"))
        assert answer.status_code in (200, 413, 422), answer.text
        if answer.status_code != 200:
            assert answer.headers["content-type"] == PROBLEM and "\n" not in answer.json()["detail"]


def test_an_archive_is_read_with_progress(served: Served, marked: bytes) -> None:
    content = archive({
        "a.png": marked, "folder/b.png": picture(seed=52), "broken.png": b"no picture", "notes.txt": b"text",
        "__MACOSX/a.png": b"x", ".hidden.png": b"x",
    })  # fmt: skip
    headers = {"Content-Type": "application/zip"}
    job, lines = finished(served, served[Role.MARKER].post("/v1/jobs", content=content, headers=headers))
    assert {key: job[key] for key in ("state", "total", "done", "found", "failed", "passed_over")} == {
        "state": "done", "total": 3, "done": 3, "found": 1, "failed": 1, "passed_over": 1
    }  # fmt: skip
    by_name = {line["image"]: line for line in lines}
    assert by_name["a.png"]["watermarks"][0]["record"]["asset"] == "50"
    assert by_name["a.png"]["watermarks"][0]["record"]["user"] is None  # a marker is a partner
    assert by_name["broken.png"]["error"].startswith("broken.png: expected") and by_name["folder/b.png"]["complete"]
    assert served[Role.AUDITOR].get(f"/v1/jobs/{job['id']}").status_code == 404  # another key's
    assert served[Role.ADMIN].get(f"/v1/jobs/{job['id']}").status_code == 200
    assert served[Role.MARKER].delete(f"/v1/jobs/{job['id']}").status_code == 204
    assert served[Role.MARKER].get(f"/v1/jobs/{job['id']}").status_code == 404


def test_files_of_a_form_are_a_job_too(served: Served, marked: bytes) -> None:
    files = [("file", ("a.png", marked)), ("file", ("b.png", picture(seed=53)))]
    job, lines = finished(served, served[Role.MARKER].post("/v1/jobs", files=files))
    assert (job["total"], job["found"]) == (2, 1) and {line["image"] for line in lines} == {"a.png", "b.png"}


@pytest.mark.parametrize(
    "content", [b"", b"no archive", archive({}), archive({"a.txt": b"x"}), archive({"a.png": b"x"})[:-10]]
)
def test_what_is_no_archive_is_a_problem(served: Served, content: bytes) -> None:
    answer = served[Role.MARKER].post("/v1/jobs", content=content, headers={"Content-Type": "application/zip"})
    assert answer.status_code == 400 and answer.json()["detail"].startswith("job: expected pictures or a ZIP archive")


def test_an_archive_that_unpacks_to_too_much_does_not(tmp_path: Path) -> None:
    limits = Limits(max_bytes=100_000, job_files=2)
    with in_threads(tmp_path, limits) as served:
        headers = {"Content-Type": "application/zip"}
        small = archive({"bomb.png": b"\0" * 50_000_000, "fine.png": picture()})
        assert len(small) < 150_000
        _, lines = finished(served, served[Role.MARKER].post("/v1/jobs", content=small, headers=headers))
        errors = {line["image"]: line["error"] for line in lines}
        assert errors == {"bomb.png": "bomb.png: expected at most 100,000 bytes, found more", "fine.png": None}
        many = archive({f"{n}.png": b"x" for n in range(3)})
        answer = served[Role.MARKER].post("/v1/jobs", content=many, headers=headers)
        assert answer.status_code == 413 and "at most 2 pictures" in answer.json()["detail"]
        (folder,) = (served.house.folder.path / "jobs").iterdir()  # of the first job
        assert sum(one.read_text().count("\n") for one in folder.glob("results-*")) == len(lines)


def test_a_job_that_is_taken_back_ends(served: Served) -> None:
    pool: Any = served.house.pool
    pool.gate.clear()
    try:
        files = [("file", (f"{n}.png", picture(seed=n))) for n in range(20)]
        answer = served[Role.MARKER].post("/v1/jobs", files=files)
        assert answer.json()["state"] == "running"
        assert served[Role.MARKER].delete(answer.headers["location"]).status_code == 204
    finally:
        pool.gate.set()
    assert served[Role.MARKER].get(answer.headers["location"]).status_code == 404
