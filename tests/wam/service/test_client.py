"""``--server``: the commands with a service in the place of the model, said and written as they do it here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.wam.cli.commands import Run, check_contract, draw
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
    [("--overlay", "o.png"), ("--out", "r.jsonl"), ("--registry", "r.db"), ("--model", "x"), ("-v",)],
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
