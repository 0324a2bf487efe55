"""``detect --out``: reports that grow and are gone on with, for programs and for people."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from PIL import Image

from tests.wam.cli.commands import MARK, Run, check_contract, draw, error_line, objects
from tests.wam.jobs.endless import endless_store
from wam.cli import print_detect
from wam.jobs.detect_report import REPORT_ONLY
from wam.pipeline.contract import DetectObject

SUMMARY = re.compile(r"(\d+) with watermarks \((\d+) in all\), (\d+) without, (\d+) not read .*?(; \d+ of them)?")


@pytest.fixture
def photos(run: Run) -> Path:
    """A marked picture, an unmarked one and a broken file."""
    run("embed", draw("a.png"), *MARK, "--user", "u", "-o", "a.wm.png")
    folder = Path("photos")
    folder.mkdir()
    Path("a.wm.png").rename(folder / "marked.png")
    draw("photos/plain.png", seed=1)
    (folder / "broken.png").write_bytes(b"no picture")
    return folder


def lines(path: str = "found.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def read_before(stderr: str) -> int:
    found = re.search(r"; (\d+) of them read before", stderr)
    return 0 if found is None else int(found[1])


def table(path: str = "found.csv") -> list[dict[str, str]]:
    with Path(path).open(newline="") as stream:
        return list(csv.DictReader(stream))


class TestLines:
    def test_are_what_json_prints(self, run: Run, photos: Path) -> None:
        result = run("detect", photos, "--out", "found.jsonl", "--json")
        assert result.exit_code == 2
        written = lines()
        for values in written:
            assert values.pop("settings")["thorough"] is False
            values.pop("source")
            check_contract(values)
        assert written == objects(result)

    def test_resume_reads_what_is_left(self, run: Run, photos: Path) -> None:
        run("detect", photos, "--out", "found.jsonl")
        again = run("detect", photos, "--out", "found.jsonl", "--resume", "--json")
        assert [one["image"] for one in objects(again)] == ["photos/broken.png"]  # errors are tried again
        assert (again.exit_code, read_before(again.stderr)) == (2, 2)
        assert again.stderr.splitlines()[-1].startswith("1 with watermarks (1 in all), 1 without, 1 not read")
        (photos / "broken.png").unlink()
        draw("photos/new.png", seed=2)
        new = run("detect", photos, "--out", "found.jsonl", "--resume", "--json")
        assert [one["image"] for one in objects(new)] == ["photos/new.png"]
        assert new.exit_code == 1

    def test_exit_status_counts_what_was_read_before(self, run: Run, photos: Path) -> None:
        asked = ("detect", "photos/marked.png", "--out", "found.jsonl", "--fail-unless", "verified")
        assert run(*asked).exit_code == run(*asked, "--resume").exit_code == 0
        assert run("detect", "photos/plain.png", "photos/marked.png", *asked[2:], "--resume").exit_code == 1

    @pytest.mark.parametrize(
        "change",
        [
            lambda: draw("photos/plain.png", seed=9),
            lambda: Path("photos/plain.png").touch(),
        ],
    )
    def test_a_file_that_changed_is_read_again(self, run: Run, photos: Path, change: Callable[[], None]) -> None:
        run("detect", photos, "--out", "found.jsonl", "--out", "found.csv")
        change()
        again = objects(run("detect", photos, "--out", "found.jsonl", "--out", "found.csv", "--resume", "--json"))
        assert [one["image"] for one in again] == ["photos/broken.png", "photos/plain.png"]
        assert sorted(row["image"] for row in table()) == sorted(
            f"photos/{name}.png" for name in ("broken", "marked", "plain")
        )

    @pytest.mark.parametrize("options", [("--thorough",), ("--all-frames",), ("--key-file", "key")])
    def test_what_was_read_otherwise_is_read_again(self, run: Run, photos: Path, options: tuple[str, ...]) -> None:
        Path("key").write_text("sixteen bytes of secret")
        run("detect", photos, "--out", "found.jsonl")
        again = run("detect", photos, "--out", "found.jsonl", "--resume", *options)
        assert read_before(again.stderr) == 0
        assert read_before(run("detect", photos, "--out", "found.jsonl", "--resume", *options).stderr) == 2

    def test_a_run_that_was_cut_off_in_a_line_goes_on(self, run: Run, photos: Path) -> None:
        run("detect", photos, "--out", "found.jsonl")
        content = Path("found.jsonl").read_bytes()
        Path("found.jsonl").write_bytes(content[:-40])  # in the line of plain.png
        again = run("detect", photos, "--out", "found.jsonl", "--resume")
        assert read_before(again.stderr) == 1
        assert [values["image"] for values in lines()][-1] == "photos/plain.png"

    def test_a_run_that_is_killed_keeps_what_it_read(
        self, run: Run, photos: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (photos / "broken.png").unlink()

        def print_once(name: str, *_: Any, **__: Any) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(print_detect, "print_marks", print_once)
            run("detect", photos, "--out", "found.jsonl", "--workers", "1")
        assert [values["image"] for values in lines()] == ["photos/marked.png"]
        assert read_before(run("detect", photos, "--out", "found.jsonl", "--resume").stderr) == 1

    def test_overlays_are_those_of_the_pictures_that_are_left(self, run: Run, photos: Path) -> None:
        run("detect", "photos/broken.png", "--out", "found.jsonl")
        run("detect", "photos/marked.png", "--out", "found.jsonl", "--resume")
        run("detect", "photos", "--out", "found.jsonl", "--resume", "--overlay-dir", "seen")
        assert [path.name for path in Path("seen").iterdir()] == ["plain.overlay.png"]


class TestPages:
    def test_a_table_has_a_row_for_each_mark(self, run: Run, photos: Path) -> None:
        (marked,) = objects(run("detect", "photos/marked.png", "--json"))
        run("detect", photos, "--out", "found.csv")
        broken, found, plain = table()
        assert (broken["status"], plain["status"], found["status"]) == ("not read", "none", "verified")
        assert broken["error"].startswith("photos/broken.png: expected ")
        mark = marked["watermarks"][0]
        assert (found["link"], found["asset"], found["owner"], found["user"]) == (mark["link"], "123", "acme", "u")
        assert [int(found[name]) for name in ("x", "y", "width", "height")] == mark["region"]["bbox"]
        assert not Path("found.jsonl").exists()

    def test_a_name_is_no_formula(self, run: Run, photos: Path) -> None:
        run("embed", "a.png", "--asset", "=HYPERLINK(1)", "--owner", "@me", "-o", "photos/formula.png")
        run("detect", "photos/formula.png", "--out", "found.csv")
        assert (table()[0]["asset"], table()[0]["owner"]) == ("'=HYPERLINK(1)", "'@me")

    def test_a_page_holds_all_it_needs(self, run: Run, photos: Path) -> None:
        run("embed", "a.png", "--asset", "<script>alert(1)</script>", "--owner", "a&b", "-o", "photos/odd <i>.png")
        run("detect", photos, "--out", "found.html")
        page = Path("found.html").read_text()
        assert not re.search(r"(src|href)=\"(?!data:)", page) and "@import" not in page
        assert "<script>alert" not in page and "&lt;script&gt;alert(1)" in page and "odd &lt;i&gt;.png" in page
        assert "2 with watermarks, 1 without, 1 not read" in page
        assert "plain.png" not in page and "broken.png: expected" in page
        pictures = [Image.open(io.BytesIO(base64.b64decode(code))) for code in re.findall(r"base64,([^\"]+)", page)]
        assert [picture.size for picture in pictures] == [(128, 128), (128, 128)]

    def test_pages_of_a_run_that_went_on_tell_of_both(self, run: Run, photos: Path) -> None:
        run("detect", "photos/marked.png", "--out", "found.jsonl")
        run("detect", photos, "--out", "found.jsonl", "--out", "found.csv", "--out", "found.html", "--resume")
        assert sorted(row["status"] for row in table()) == ["none", "not read", "verified"]
        assert "1 with watermarks, 1 without, 1 not read" in Path("found.html").read_text()

    def test_a_picture_that_is_gone_has_no_thumbnail(self, run: Run, photos: Path) -> None:
        run("detect", photos, "--out", "found.jsonl")
        (photos / "marked.png").unlink()
        result = run("detect", photos, "--out", "found.jsonl", "--out", "found.html", "--resume")
        page = Path("found.html").read_text()
        assert result.exit_code == 2 and "base64" not in page and "marked.png" in page


def test_only_found_leaves_the_others_out(run: Run, photos: Path) -> None:
    result = run("detect", photos, "--only-found", *(f"--out=found.{kind}" for kind in ("csv", "html", "jsonl")))
    assert [line.partition(":")[0] for line in result.stdout.splitlines()] == ["photos/marked.png"]
    assert "1 without" in result.stderr
    assert [row["status"] for row in table()] == ["not read", "verified"]
    assert "1 with watermarks, 1 without, 1 not read" in Path("found.html").read_text()
    assert len(lines()) == 3  # by which --resume goes on
    printed = objects(run("detect", photos, "--only-found", "--json"))
    assert [one["image"] for one in printed] == ["photos/broken.png", "photos/marked.png"]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--out", "found.txt"), "--out: expected a name ending in .jsonl, .csv, .html, found found.txt"),
        (("--out", "found"), "--out: expected a name ending in"),
        (("--out", "s3://bucket/found.jsonl"), "--out: expected a file of this machine"),
        (("--out", "nowhere/found.jsonl"), "--out: expected a folder to write to"),
        (("--out", "there.csv"), "--out: expected a new file, found there.csv there; add --resume"),
        (("--out", "a.jsonl", "--out", "b.jsonl"), "--out: expected one report of each kind"),
        (("--out", "a.csv", "--out", "a.csv"), "--out: expected one report of each kind"),
        (("--resume",), "--resume: expected --out FILE.jsonl"),
        (("--resume", "--out", "found.csv"), "--resume: expected --out FILE.jsonl"),
        (("--resume", "--out", "other.jsonl"), "other.jsonl: line 1: expected a line of wam detect --json"),
    ],
)
def test_reports_that_cannot_be_are_refused(run: Run, photo: Path, options: tuple[str, ...], problem: str) -> None:
    Path("there.csv").write_text("precious")
    Path("other.jsonl").write_text('{"path": "a.png"}\n')
    result = run("detect", photo, *options)
    assert result.exit_code == 2 and result.stdout == ""
    assert error_line(result).startswith(problem)
    assert Path("there.csv").read_text() == "precious"


def test_what_is_beside_the_contract_in_a_line(run: Run, photo: Path) -> None:
    run("detect", photo, "--out", "found.jsonl")
    (values,) = lines()
    assert set(values) - set(get_type_hints(DetectObject)) == set(REPORT_ONLY)


def test_a_store_without_an_end_is_read_and_gone_on_with(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for resume, first in (((), "0.png"), (("--resume",), "more/1.png")):
        seen: list[str] = []

        def print_some(name: str, *_: Any, seen: list[str] = seen, **__: Any) -> None:
            seen.append(name)
            if len(seen) == 4:
                raise KeyboardInterrupt

        with monkeypatch.context() as patch, endless_store() as store:
            patch.setattr(print_detect, "print_marks", print_some)
            run("detect", "endless://photos", "--out", "found.jsonl", "--workers", "1", *resume)
        assert seen[0] == f"endless://photos/{first}" and len(seen) == 4
        assert store.listed < 20
    assert len(lines()) == 8
