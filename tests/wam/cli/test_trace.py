"""`wam embed --recipients` and `wam trace`: who had a picture."""

from __future__ import annotations

import json
import re
import shutil
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from payload import Record
from payload.registry import Registry
from tests.wam.cli.commands import Run, counts, error_line, files, manifest, objects
from tests.wam.synthetic import handmade_marker
from wam.errors import show_name

COMMON = ("--asset", "7", "--owner", "acme")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


@pytest.fixture
def copies(run: Run, photo: Path) -> dict[str, Path]:
    """Copies of a picture for three, in the folder ``out``, with the registry ``r.sqlite``."""
    Path("list.csv").write_text("recipient;name\nann@example.org;Ann\nbob;\ncy;\n", encoding="utf-8-sig")
    result = run("embed", photo, "--recipients", "list.csv", *COMMON, "-o", "out", "--registry", "r.sqlite", "--json")
    assert result.exit_code == 0, result.stderr
    assert [line["record"]["user"] for line in objects(result)] == ["ann@example.org", "bob", "cy"]
    assert len({line["link"] for line in objects(result)}) == 3
    return {line["record"]["user"]: Path(line["output"]) for line in objects(result)}


def test_each_copy_is_its_recipients_and_resumed(run: Run, photo: Path, copies: dict[str, Path]) -> None:
    assert [path.name for path in copies.values()] == ["in.Ann.png", "in.bob.png", "in.cy.png"]
    lines = manifest()
    assert {line["status"] for line in lines.values()} == {"marked"} and set(lines) == {p.name for p in copies.values()}
    before = {path: path.read_bytes() for path in copies.values()}
    copies["bob"].unlink()
    again = ("embed", photo, "--recipients", "list.csv", *COMMON, "--out-dir", "out", "--registry", "r.sqlite")
    result = run(*again, "--resume")
    assert counts(result.stderr) == (1, 2, 0)
    assert {path: path.read_bytes() for path in copies.values()} == before  # the same link, so the same bytes
    assert Registry.open("r.sqlite").counts() == {"marked": 3}


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ((), "-o DIR or --out-dir DIR"),
        (("-o", "out", "--out-dir", "out"), "found both"),
        (("-o", "out", "--user", "ann"), "--user"),
        (("-o", "out", "--asset-from", "name"), "--asset-from"),
        (("-o", "out", "--mode", "record"), "--mode record"),
        (("-o", "out", "--in-place"), "--in-place"),
        (("-o", "."), None),
    ],
)
def test_what_a_list_leaves_no_place_for_is_refused(
    run: Run, photo: Path, options: tuple[str, ...], found: str | None
) -> None:
    Path("list.csv").write_text("recipient,output\nann,in.png\n")
    result = run("embed", photo, "--recipients", "list.csv", *COMMON, *options)
    assert result.exit_code == 2
    assert (found or "found the input") in error_line(result)
    assert files() == ["in.png", "list.csv"]


def test_every_problem_of_a_list_is_a_line(run: Run, photo: Path) -> None:
    Path("list.csv").write_text("recipient,output\nann,\nann,\nbob,../b.png\n")
    result = run("embed", photo, "--recipients", "list.csv", *COMMON, "-o", "out")
    assert result.exit_code == 2
    assert [line.partition(": expected")[0] for line in result.stderr.splitlines()] == [
        "error: list.csv: line 3", "error: list.csv: line 4: output",
    ]  # fmt: skip
    assert not Path("out").exists()


def test_a_list_that_is_no_utf_8_is_said_with_the_line_and_the_way_out(run: Run, photo: Path) -> None:
    Path("list.csv").write_bytes("recipient\nann\nM\xfcller\n".encode("latin-1"))
    result = run("embed", photo, "--recipients", "list.csv", *COMMON, "-o", "out")
    assert result.exit_code == 2
    assert error_line(result).endswith('in UTF-8, found: the byte 0xfc in line 3; save it as "CSV UTF-8"')


@pytest.mark.parametrize("inputs", [["in.png", "in.png"], ["-"]])
def test_one_picture_at_a_time(run: Run, photo: Path, inputs: list[str]) -> None:
    Path("list.csv").write_text("recipient\nann\n")
    result = run("embed", *inputs, "--recipients", "list.csv", *COMMON, "-o", "out", standard_input=b"")
    assert result.exit_code == 2 and "expected one picture" in error_line(result)


def test_a_leak_is_traced_with_the_other_marks_of_its_asset(run: Run, copies: dict[str, Path]) -> None:
    Registry.open("r.sqlite").allocate(Record("7", "another", "dee"))  # of another owner
    result = run("trace", copies["bob"], "--registry", "r.sqlite")
    assert result.exit_code == 0
    text = result.stdout
    assert re.search(r"mark: +1: verified.* wm:", text) and re.search(r"user: +bob", text)
    assert re.search(r"asset: +7, of acme", text) and "< 1.3e-3, tested" in text
    assert "on the picture that was marked" in text
    others = text.partition("newest first, 2 of 2:")[2]
    assert "ann@example.org" in others and "cy" in others and "bob" not in others and "dee" not in others
    assert len(run("trace", copies["bob"], "--registry", "r.sqlite", "--most", 1).stdout.partition("1 of 2:")[2]) > 0


def test_json_says_the_same(run: Run, copies: dict[str, Path]) -> None:
    registries = ("--registry", "r.sqlite", "--registry", "other.sqlite")
    run("registry", "init", "--registry", "other.sqlite")
    (said,) = objects(run("trace", copies["cy"], "--json", *registries))
    (one,) = said["traces"]
    assert said["sha256"] == sha256(copies["cy"].read_bytes()).hexdigest()
    assert one["watermark"] == said["found"]["watermarks"][0]
    assert one["watermark"]["record"]["user"] == "cy" and one["watermark"]["registry"].endswith("r.sqlite")
    assert sorted(other["record"]["user"] for other in one["others"]) == ["ann@example.org", "bob"]
    assert one["others_in_all"] == 2


def test_what_is_withdrawn_is_said_and_what_is_erased_is_not(run: Run, copies: dict[str, Path]) -> None:
    registry = Registry.open("r.sqlite")
    (ann,) = registry.entries(user="ann@example.org")
    registry.withdraw(ann.link)
    (said,) = objects(run("trace", copies["bob"], "--json", "--registry", "r.sqlite"))
    assert [(one["record"]["user"], one["state"]) for one in said["traces"][0]["others"]] == [
        ("cy", "marked"), ("ann@example.org", "withdrawn"),
    ]  # fmt: skip
    registry.erase("ann@example.org")
    (said,) = objects(run("trace", copies["bob"], "--json", "--registry", "r.sqlite"))
    assert [one["record"]["user"] for one in said["traces"][0]["others"]] == ["cy"]


def test_exit_statuses_are_those_of_detect(run: Run, photo: Path, copies: dict[str, Path]) -> None:
    registry = ("--registry", "r.sqlite")
    assert run("trace", photo, *registry).exit_code == 1
    assert run("trace", copies["bob"], photo, *registry).exit_code == 1
    Path("text.png").write_text("no picture")
    result = run("trace", "text.png", copies["bob"], *registry)
    assert result.exit_code == 2 and error_line(result).startswith("text.png: ")
    assert "bob" in result.stdout
    assert run("trace", photo, "--registry", "none.sqlite").exit_code == 2


def test_an_unknown_mark_is_traced_to_nobody(run: Run, copies: dict[str, Path]) -> None:
    run("registry", "init", "--registry", "empty.sqlite")
    result = run("trace", copies["bob"], "--registry", "empty.sqlite")
    assert result.exit_code == 0
    assert "unregistered" in result.stdout and "bob" not in result.stdout.replace(copies["bob"].name, "")


def sheet(run: Run, *images: Path) -> str:
    result = run("trace", *images, "--registry", "r.sqlite", "--evidence", "sheet.html")
    assert result.exit_code == 0, result.stderr
    return Path("sheet.html").read_text(encoding="utf-8")


def test_the_sheet_says_who_by_what_and_what_is_not_proven(run: Run, copies: dict[str, Path]) -> None:
    page = sheet(run, copies["bob"])
    digest = sha256(copies["bob"].read_bytes()).hexdigest()
    for text in ("bob", digest, "data:image/jpeg;base64,", "What is not proven", "wam-toolkit", "SHA-256 of the model"):
        assert text in page
    assert "This model was not tested" in page and "that was another version" in page  # the light one of these tests
    assert not re.search(r"(src|href)=.?(http|//)", page)


def test_names_in_a_sheet_are_text(run: Run, photo: Path) -> None:
    Path("list.csv").write_text('recipient,output\n"<script>alert(1)</script>",a.png\n')
    run("embed", photo, "--recipients", "list.csv", *COMMON, "-o", "out", "--registry", "r.sqlite")
    page = sheet(run, Path("out/a.png"))
    assert "<script>alert" not in page and "&lt;script&gt;alert" in page


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (("in.png", "in.png", "--evidence", "sheet.html"), "expected one input"),
        (("in.png", "--evidence", "sheet.pdf"), "ending in .html"),
        (("in.png", "--evidence", "r.html", "--registry", "r.html"), "found the input"),
    ],
)
def test_a_sheet_that_would_do_harm_is_refused(
    run: Run, copies: dict[str, Path], arguments: tuple[str, ...], found: str
) -> None:
    shutil.copy("r.sqlite", "r.html")
    before = Path("r.html").read_bytes()
    result = run("trace", *arguments)
    assert result.exit_code == 2 and found in error_line(result)
    assert Path("r.html").read_bytes() == before


def test_a_sheet_of_a_collage_fits_a4(run: Run, copies: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["wam", "trace", "collage.png"])  # the sheet has the command, and pytest's is long
    driver = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip("needs Chromium")
    parts = [np.asarray(Image.open(path)) for path in copies.values()]
    collage = np.full((150, 430, 3), 90, np.uint8)
    for place, part in enumerate(parts):
        collage[10:138, 10 + place * 140 : 138 + place * 140] = part
    Image.fromarray(collage).save("collage.png")
    page = sheet(run, Path("collage.png"))
    assert len(re.findall(r"<h2>Mark \d</h2>", page)) == len(handmade_marker().detect(collage)) >= 2
    with driver.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=program, args=["--no-sandbox"])
        shown = browser.new_page()
        problems: list[Any] = []
        shown.on("console", lambda message: problems.append(message.text))
        shown.goto(Path("sheet.html").resolve().as_uri())
        printed = shown.pdf(prefer_css_page_size=True)
        browser.close()
    assert len(re.findall(rb"/Type\s*/Page[^s]", printed)) == 1
    assert problems == []
    assert json.dumps(show_name("collage.png"))[1:-1] in page
