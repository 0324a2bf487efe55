"""``--server``: the commands with a service in the place of the model, said and written as they do it here."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.wam.cli.commands import Run, check_contract, draw, files
from tests.wam.service.served import GENEROUS, Served, in_threads, picture
from wam.errors import OptionsError
from wam.service.client import Client, ServerError
from wam.service.roles import Role

MARK = ("--asset", "9", "--owner", "acme")


@pytest.fixture(autouse=True)
def key(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAM_API_KEY", served[Role.ADMIN].headers["authorization"].partition(" ")[2])


def test_a_picture_is_marked_and_read_as_here(run: Run, served: Served) -> None:
    draw("in.png", seed=80)
    done = run("embed", "in.png", *MARK, "--user", "u9", "--server", served.url, "--json")
    said = json.loads(done.stdout)
    check_contract(said)
    assert (done.exit_code, said["image"], said["output"]) == (0, "in.png", "in.wm.png")
    assert served[Role.ADMIN].get(f"/v1/records/{said['link']}").json()["record"]["user"] == "u9"
    found = json.loads(run("detect", "in.wm.png", "--server", served.url, "--json").stdout)
    assert (found["image"], found["watermarks"][0]["link"]) == ("in.wm.png", said["link"])
    text = run("detect", "in.wm.png", "--server", served.url).stdout
    assert text.startswith("in.wm.png: 1 watermark") and said["link"] in text and "u9" in text
    again = run("embed", "in.png", *MARK, "-o", "x.webp", "--server", served.url)
    assert again.exit_code == 0 and "in.png -> x.webp" in again.stdout and Path("x.webp").read_bytes()[:4] == b"RIFF"


def test_the_public_view_names_the_owner(run: Run, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    draw("in.png", seed=81)
    assert run("embed", "in.png", *MARK, "--server", served.url).exit_code == 0
    monkeypatch.delenv("WAM_API_KEY")
    public = run("detect", "in.wm.png", "--server", served.url)
    assert public.exit_code == 0 and "acme" in public.stdout
    denied = run("embed", "in.png", *MARK, "-o", "y.png", "--server", served.url)
    assert denied.exit_code == 1 and "expected an API key" in denied.stderr and not Path("y.png").exists()
    assert denied.stderr.endswith("; it is taken from WAM_API_KEY\n")


def test_a_folder_and_what_is_wrong_in_it(run: Run, served: Served) -> None:
    for number in range(3):
        draw(f"photos/{number}.png", seed=82 + number)
    Path("photos/broken.png").write_text("no picture")
    done = run("embed", "photos", "--out-dir", "out", "--asset-from", "name", "--owner", "a", "--server", served.url)
    assert done.exit_code == 1 and "3 marked, 0 skipped, 1 failed" in done.stderr
    assert "error: photos/broken.png: expected a PNG" in done.stderr
    found = run("detect", "out", "photos/broken.png", "--server", served.url)
    assert found.exit_code == 2 and "3 with watermarks (3 in all), 0 without, 1 not read" in found.stderr
    assert [line.split(":")[0] for line in found.stdout.splitlines()] == ["out/0.png", "out/1.png", "out/2.png"]
    assert run("detect", "photos/0.png", "--server", served.url).exit_code == 1
    assert run("detect", "out/0.png", "--fail-unless", "verified", "--server", served.url).exit_code == 0


@pytest.mark.parametrize(
    "options",
    [("--log-look-ups",), ("--registry", "r.db"), ("--model", "x"), ("-v",), ("--engine", "ray")],
)
def test_what_a_service_decides_itself_is_refused(run: Run, served: Served, options: tuple[str, ...]) -> None:
    draw("in.png")
    done = run("detect", "in.png", *options, "--server", served.url)
    assert done.exit_code == 2 and "--server: expected it without --" in done.stderr


@pytest.mark.parametrize("url", ["", "localhost:8000", "ftp://x", "http://", "http://x:port/", "http://x/?a=b"])
def test_what_is_no_server_is_one_line(run: Run, url: str) -> None:
    draw("in.png")
    with pytest.raises(OptionsError, match="server: expected a URL like"):
        Client(url)
    done = run("detect", "in.png", "--server", url)
    assert done.exit_code == 2 and done.stderr.startswith("error: --server: expected a URL like")


def test_a_server_that_is_not_there_is_one_line(run: Run) -> None:
    draw("in.png")
    done = run("detect", "in.png", "--server", "http://127.0.0.1:9")
    assert done.exit_code == 2 and done.stderr.count("\n") == 1 and "expected a service that answers" in done.stderr


def test_a_client_waits_when_it_is_told_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    with in_threads(tmp_path, GENEROUS.__class__(address_rate=2)) as served:
        monkeypatch.delenv("WAM_API_KEY")
        monkeypatch.setattr("time.sleep", waited.append)
        client = Client(served.url)
        assert [client.detect(picture(), "in.png", {})["image"] for _ in range(2)] == ["in.png"] * 2
        with pytest.raises(ServerError, match="at most 2 requests a minute"):
            client.detect(picture(), "in.png", {})
    assert len(waited) >= 10 and all(1 <= one <= 60 for one in waited[:10])


def test_overlays_and_masks_are_those_of_the_command(run: Run, served: Served, tmp_path: Path) -> None:
    for number in range(2):
        draw(f"photos/{number}.png", seed=90 + number)
    marked = run("embed", "photos/0.png", *MARK, "-o", "photos/m.png", "--server", served.url)
    assert marked.exit_code == 0
    outputs = ("--overlay-dir", "o", "--mask-dir", "m", "--only-found")
    assert run("detect", "photos", *outputs, "--server", served.url).exit_code == 1
    assert sorted(path.name for path in Path("o").iterdir()) == ["0.overlay.png", "1.overlay.png", "m.overlay.png"]
    assert [path.name for path in Path("m").iterdir()] == ["m.mask1.png"]
    with Image.open("m/m.mask1.png") as mask, Image.open("photos/m.png") as picture:
        assert mask.size == picture.size and np.asarray(mask).mean() > 127
        assert set(np.unique(np.asarray(mask))) <= {0, 255}
        with Image.open("o/m.overlay.png") as overlay:
            assert overlay.size == picture.size
            assert not np.array_equal(np.asarray(overlay.convert("RGB")), np.asarray(picture.convert("RGB")))
    single = run("detect", "photos/m.png", "--overlay", "one.jpg", "--server", served.url)
    assert single.exit_code == 0 and Path("one.jpg").read_bytes()[:2] == b"\xff\xd8"


def test_a_report_is_written_and_gone_on_with(run: Run, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        draw(f"photos/{number}.png", seed=94 + number)
    assert run("embed", "photos/0.png", *MARK, "-o", "photos/0m.png", "--server", served.url).exit_code == 0
    out = ("--out", "r.jsonl", "--out", "r.csv", "--out", "r.html", "--server", served.url)
    first = run("detect", "photos", *out)
    assert first.exit_code == 1 and "1 with watermarks (1 in all), 3 without" in first.stderr
    rows = [json.loads(line) for line in Path("r.jsonl").read_text().splitlines()]
    assert len(rows) == 4 and rows[1]["watermarks"][0]["record"]["asset"] == "9"
    assert "acme" in Path("r.csv").read_text() and "acme" in Path("r.html").read_text()
    draw("photos/9.png", seed=99)
    again = run("detect", "photos", *out, "--resume")
    assert "4 without" in again.stderr and "4 of them read before" in again.stderr, again.stderr
    assert again.stdout.startswith("photos/9.png") and len(Path("r.jsonl").read_text().splitlines()) == 5
    monkeypatch.delenv("WAM_API_KEY")  # another view: what was read so is not taken for the same
    public = run("detect", "photos", *out, "--resume")
    assert "read before" not in public.stderr and len(Path("r.jsonl").read_text().splitlines()) == 10


def test_marking_a_folder_is_gone_on_with(run: Run, served: Served) -> None:
    for number in range(3):
        draw(f"photos/{number}.png", seed=100 + number)
    options = ("--out-dir", "out", "--asset-from", "name", "--owner", "folder", "--server", served.url)
    first = run("embed", "photos", *options)
    assert first.exit_code == 0 and "3 marked, 0 skipped, 0 failed" in first.stderr
    lines = [json.loads(line) for line in Path("out/manifest.jsonl").read_text().splitlines()]
    assert [line["status"] for line in lines] == ["marked"] * 3 and len({line["link"] for line in lines}) == 3
    content = Path("out/1.png").read_bytes()
    Path("out/1.png").unlink()
    draw("photos/3.png", seed=103)
    second = run("embed", "photos", *options, "--resume", "--json")
    assert second.exit_code == 0 and "2 marked, 2 skipped, 0 failed" in second.stderr
    assert Path("out/1.png").read_bytes() == content  # the same link, and so the same file
    assert len(second.stdout.splitlines()) == 4
    for line in second.stdout.splitlines():
        check_contract(json.loads(line))
    other = run("embed", "photos", *options, "--resume", "--quality", "90")
    assert "4 files were marked otherwise (quality was the source's own, is 90)" in other.stderr
    assert "4 marked, 0 skipped" in other.stderr and "replaced an earlier output" in other.stdout
    shutil.rmtree("out")


def test_a_link_of_its_own_is_given_where_it_is_asked_for(run: Run, served: Served) -> None:
    draw("in.png", seed=110)

    def link(*options: str) -> str:
        done = run("embed", "in.png", *MARK, *options, "--server", served.url, "--json")
        assert done.exit_code == 0, done.stderr
        return str(json.loads(done.stdout)["link"])

    first = link()
    assert link() == first and link("--new-link") != first


WATCH = ("--once", "--settle", "0.1", "--every", "0.05", "--patience", "0.3")


def test_a_folder_is_watched_with_the_service_s_model_and_registry(run: Run, served: Served) -> None:
    draw("in/a.png", seed=71)
    draw("in/sub/b.png", seed=72)
    Path("in/broken.png").write_bytes(b"no picture")
    line = ("watch", "in", "out", *WATCH, "--asset-from", "name", "--owner", "watched", "--server", served.url)
    first = run(*line)
    assert first.exit_code == 1 and first.stderr.endswith("2 marked, 1 moved aside\n"), first.stderr
    assert "in/failed/broken.png.why.txt" in files() and "in/a.png -> out/a.png" in first.stdout
    draw("in/c.png", seed=73)
    Path("out/manifest.jsonl").write_text(  # killed after b was written, before that was noted
        "".join(one for one in Path("out/manifest.jsonl").read_text().splitlines(True) if '"sub/b.png"' not in one)
    )
    second = run(*line, "--json")
    assert second.exit_code == 0 and second.stderr.endswith("2 marked, 0 moved aside\n"), second.stderr
    said = {one["image"]: one for one in map(json.loads, second.stdout.splitlines())}
    assert sorted(said) == ["in/c.png", "in/sub/b.png"]
    entries = list(served.house.registry.entries(owner="watched"))
    assert sorted((one.record.asset, one.state) for one in entries if one.state != "discarded") == [
        ("a", "marked"), ("b", "marked"), ("c", "marked"),
    ]  # fmt: skip
    read = run("watch", "out", "found", *WATCH, "--read", "--server", served.url)
    assert read.stderr.endswith("3 read, 0 moved aside\n") and "watched" in read.stdout, read.stderr
    again = run("watch", "out", "found", *WATCH, "--read", "--server", served.url)
    assert again.stderr.endswith("0 read, 0 moved aside\n")


def test_a_service_that_goes_away_is_waited_for_and_no_picture_is_moved_aside(
    run: Run, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAM_API_KEY", "wam_wrong_key")  # refused: not the picture's fault either
    draw("in/a.png", seed=74)
    line = ("watch", "in", "out", *WATCH, "--asset", "1", "--owner", "a", "--server", served.url)
    real = Client.about
    monkeypatch.setattr(Client, "about", lambda self: {"model": "m", "view": "public"})
    done = run(*line)
    assert done.exit_code == 1 and "it is tried again" in done.stderr and files() == ["in/a.png", "out/manifest.jsonl"]
    monkeypatch.setattr(Client, "about", real)
    assert run(*line, "--registry", "x").stderr.startswith("error: --server: expected it without --registry")
