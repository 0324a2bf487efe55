"""``wam bench`` by its contract: exit status, streams, files."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner, Result

from tests.wam.bench.doubles import light_contender, photos_in
from wam.bench import contenders
from wam.bench.perception import absent
from wam.bench.runner import Workbench
from wam.cli import app

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command in an empty folder on two small photos, with the hand-made model."""
    monkeypatch.chdir(tmp_path)
    photos_in(tmp_path / "photos", 2)
    monkeypatch.setattr(contenders, "build_marker", lambda model, device: light_contender())

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["bench", "--images", "photos", "--workers", "1", *arguments])

    return invoke


def test_tables_end_on_the_terminal_and_files_in_the_folder(run: Run) -> None:
    done = run("--attacks", "identity,jpeg=80", "--out", "out")
    assert done.exit_code == 0 and done.stderr == ""
    assert [line.split()[0] for line in done.stdout.splitlines() if "100.0%" in line] == ["none", "valuemetric"]
    clean = [line for line in done.stdout.splitlines() if ": every word right, " in line]
    assert [line.partition(":")[0] for line in clean] == ["none, 1 row", "valuemetric, 1 row"]
    assert all(line.endswith(" dB or more over the threshold") for line in clean)
    assert "handmade@00000000" in done.stdout
    files = {path.name for path in Path("out").iterdir()}
    assert {"report.html", "report.md", "report.csv", "metrics.json", "results.jsonl", "contact-sheet.png"} <= files


@pytest.mark.parametrize("columns", [120, 80, 50])
def test_a_narrow_terminal_has_fewer_columns_but_whole_names(
    run: Run, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # what rich takes for a terminal
    monkeypatch.setenv("COLUMNS", str(columns))
    done = run("--attacks", "identity,gaussian_noise=0.02,crop_keep=0.1")
    text = re.sub(r"\x1b\[[\d;]*m", "", done.stdout)
    tables = text[: text.index("PSNR (dB) of")].splitlines()
    assert max(map(len, tables)) <= columns
    (line,) = (line for line in tables if "crop_keep=0.1" in line)
    assert "%" in line and "…" not in "".join(tables)
    assert all(head in " ".join(tables) for head in ("attack", "found", "records", "wrong"))
    (head,) = (line for line in tables if "attack" in line)
    assert ("worst" in head) == (columns == 120)


def test_the_program_works_in_one_thread(run: Run) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert run("--attacks", "identity", "--limit", "1").exit_code == 0
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_a_second_run_measures_nothing_again(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run("--attacks", "identity,hflip", "--limit", "1", "--out", "out")
    lines = Path("out/results.jsonl").read_text()
    monkeypatch.setattr(Workbench, "run", None)
    second = run("--attacks", "identity,hflip", "--limit", "1", "--out", "out")
    assert second.exit_code == 0 and Path("out/results.jsonl").read_text() == lines
    assert second.stdout == first.stdout


def test_json_is_one_line_for_each_photo_in_order(run: Run) -> None:
    done = run("--attacks", "identity,hflip", "--json")
    objects = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["image"] for one in objects] == ["0.png", "1.png"]
    for one in objects:
        assert [result["row"] for result in one["results"]] == ["quality", "identity", "hflip"]
        assert one["error"] is None


def test_a_photo_that_cannot_be_read_is_named_and_the_rest_goes_on(run: Run) -> None:
    Path("photos/0.png").write_bytes(b"no picture")
    done = run("--attacks", "identity")
    assert done.exit_code == 1
    assert done.stderr.startswith("error: 0.png") and done.stderr.count("\n") == 1
    assert re.search(r"none +identity +1 ", done.stdout)  # with a failure: no row to be left out


def test_the_quality_of_the_marked_photos_is_a_line(run: Run) -> None:
    done = run("--attacks", "identity")
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("handmade@00000000, marked: PSNR "))
    assert " dB, lowest " in line and ", CIEDE2000 " in line
    assert ("CVVDP" in line, "FLIP" in line) == tuple(name not in absent() for name in ("cvvdp_jod", "flip"))
    assert ("pip install" in done.stdout) == bool(absent())


@pytest.mark.parametrize("columns", [160, 80, 50])
def test_looking_prints_the_worst_first_and_names_its_files(
    run: Run, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # what rich takes for a terminal
    monkeypatch.setenv("COLUMNS", str(columns))
    done = run("--visibility", "looks")
    lines = re.sub(r"\x1b\[[\d;]*m", "", done.stdout).splitlines()
    assert done.exit_code == 0 and max(map(len, lines)) <= columns
    assert lines[0].split()[0] == "picture" and "ratio" in lines[0] and ("noise" in lines[0]) == (columns > 50)
    assert sorted(line.split()[0] for line in lines[1:3]) == ["0.png", "1.png"]
    assert "found" not in lines[0]  # no rows of the protocol, unless they are asked for
    whole = " ".join(lines)
    assert "handmade@00000000, 2 pictures: mean CVVDP " in whole and "contact-sheet.jpg" in whole
    files = {path.name for path in Path("looks").iterdir()}
    assert files == {"visibility.html", "visibility.csv", "contact-sheet.jpg", "marked"}


def test_looking_goes_beside_rows_and_into_json(run: Run) -> None:
    done = run("--visibility", "looks", "--attacks", "identity", "--limit", "1", "--json")
    (one,) = (json.loads(line) for line in done.stdout.splitlines())
    assert [result["row"] for result in one["results"]] == ["quality", "identity", "visibility"]
    assert one["results"][2]["values"]["over_noise"] > 0


def test_a_photo_that_cannot_be_looked_at_is_named(run: Run) -> None:
    Path("photos/0.png").write_bytes(b"no picture")
    done = run("--visibility", "looks")
    assert done.exit_code == 1 and done.stderr.startswith("error: 0.png") and done.stderr.count("\n") == 1
    assert "1 picture: mean CVVDP" in done.stdout


def test_negatives_alone_count_false_alarms(run: Run) -> None:
    done = run("--negatives", "photos", "--limit", "1")
    assert done.exit_code == 0
    assert "unmarked: 0 false alarms in 1 picture (" in done.stdout and "wrong_key: 0 false" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--attacks", "jpg=80"], "known: identity"),
        (["--attacks", "identity", "--strength", "42,ten"], "--strength: expected names or dB"),
        (["--attacks", "identity", "--strength", "5"], "--strength: expected names or dB"),
        (["--attacks", "identity", "--cost", "much"], "much"),
        (["--attacks", "identity", "--images", "nowhere"], "nowhere: expected pictures"),
        (["--attacks", "identity", "--against", "stegano"], "--against: expected one of"),
        (["--visibility", "looks", "--out", "out"], "--out: expected something to measure"),
        (["--visibility", "photos/0.png"], "photos/0.png: expected a folder to write to"),
    ],
)
def test_wrong_usage_is_refused_before_anything_runs(run: Run, arguments: list[str], message: str) -> None:
    done = run(*arguments)
    assert done.exit_code != 0 and done.stdout == ""
    assert message in (done.stderr or str(done.exception))


def test_the_spelling_of_the_last_version_works_with_a_hint(run: Run) -> None:
    done = run("--jobs", "1", "--strength", "5")
    assert done.stderr.splitlines()[0].startswith("note: --jobs is now --workers")
