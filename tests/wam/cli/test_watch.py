"""``wam watch``: each picture is marked once, whatever becomes of the process; what cannot be used goes aside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import Result

import wam
from payload.registry import Registry
from tests.wam.cli.commands import Run, check_contract, draw, files
from wam.cli import watched as command

ROOT = Path(wam.__file__).parents[1]
QUICK = ("--once", "--settle", "0.1", "--every", "0.05", "--patience", "0.3")
MARK = ("--asset-from", "name", "--owner", "acme")


def watched(run: Run, *options: str) -> Result:
    Path("in").mkdir(exist_ok=True)
    return run("watch", "in", "out", *QUICK, *(options or MARK))


def links() -> list[str]:
    lines = [json.loads(line) for line in Path("out/manifest.jsonl").read_text().splitlines()]
    return [line["link"] for line in lines if line["status"] == "marked"]


def test_what_is_there_is_marked_once_over_runs(run: Run) -> None:
    for number in range(2):
        draw(f"in/sub/{number}.png", seed=number)
    first = watched(run)
    assert first.exit_code == 0, first.stderr
    assert "note: watching in; Ctrl-C ends it" in first.stderr and first.stderr.endswith("2 marked, 0 moved aside\n")
    assert len(first.stdout.splitlines()) == 2 and "in/sub/0.png -> out/sub/0.png" in first.stdout
    assert files() == ["in/sub/0.png", "in/sub/1.png", "out/manifest.jsonl", "out/sub/0.png", "out/sub/1.png"]
    Path("out/sub/0.png").unlink()  # whoever comes next has taken it
    draw("in/new.png", seed=2)
    second = watched(run, *MARK, "--json")
    (line,) = second.stdout.splitlines()
    check_contract(json.loads(line))
    assert json.loads(line)["image"] == "in/new.png" and second.stderr.endswith("1 marked, 0 moved aside\n")
    draw("in/new.png", seed=3)  # another picture of that name
    assert watched(run).stderr.endswith("1 marked, 0 moved aside\n")
    assert len(set(links())) == 4
    assert run("detect", "out/new.png", "out/sub/1.png").exit_code == 0


def test_what_cannot_be_used_goes_aside_with_the_reason(run: Run) -> None:
    draw("in/fine.png")
    whole = draw("in/short.png").read_bytes()
    Path("in/short.png").write_bytes(whole[: len(whole) // 2])
    Path("in/sub").mkdir()
    Path("in/sub/text.png").write_text("no picture")
    Path("in/empty.png").touch()
    done = watched(run)
    assert done.exit_code == 1 and done.stderr.endswith("1 marked, 3 moved aside\n")
    assert sorted(path.name for path in Path("in").rglob("*.png")) == ["empty.png", "fine.png", "short.png", "text.png"]
    assert sorted(path.as_posix() for path in Path("in/failed").rglob("*.txt")) == [
        "in/failed/empty.png.why.txt", "in/failed/short.png.why.txt", "in/failed/sub/text.png.why.txt",
    ]  # fmt: skip
    for name in ("short.png", "sub/text.png"):
        line = Path(f"in/failed/{name}.why.txt").read_text().strip()
        assert line.startswith(f"in/{name}: expected") and f"error: {line}" in done.stderr
    assert watched(run).stderr.endswith("0 marked, 0 moved aside\n")


def test_originals_go_where_they_are_wanted_when_they_are_done(run: Run) -> None:
    draw("in/sub/a.png")
    done = watched(run, *MARK, "--done", "originals", "--failed", "aside")
    assert done.exit_code == 0, done.stderr
    assert files() == ["originals/sub/a.png", "out/manifest.jsonl", "out/sub/a.png"]
    draw("in/sub/a.png", seed=1)
    assert watched(run, *MARK, "--done", "originals").exit_code == 0
    assert Path("originals/sub/a.1.png").exists()


def test_pictures_are_read_as_they_arrive(run: Run) -> None:
    draw("in/a.png")
    assert run("embed", "in/a.png", "--asset", "7", "--owner", "acme", "-o", "in/m.png").exit_code == 0
    first = watched(run, "--read")
    assert first.exit_code == 0, first.stderr
    assert first.stderr.endswith("2 read, 0 moved aside\n") and "in/m.png" in first.stdout and "acme" in first.stdout
    whole = Path("in/m.png").read_bytes()
    Path("in/cut.png").write_bytes(whole[: len(whole) * 3 // 4])
    second = watched(run, "--read", "--json")
    assert second.exit_code == 1 and second.stderr.endswith("0 read, 1 moved aside\n")
    assert "cut short" in Path("in/failed/cut.png.why.txt").read_text()
    rows = [json.loads(line) for line in Path("out/found.jsonl").read_text().splitlines()]
    assert [row["image"] for row in rows] == ["in/a.png", "in/m.png", "in/cut.png"]
    assert [len(row["watermarks"]) for row in rows] == [0, 1, 0]


def test_a_registry_that_does_not_answer_is_waited_for(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from payload.errors import RegistryError

    reserve, calls = Registry.reserve, list[int]()

    def sometimes(self: Registry, *given: object, **named: object) -> object:
        calls.append(1)
        if len(calls) < 2:
            raise RegistryError("registry: expected it to answer, found that it does not; try again")
        return reserve(self, *given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(Registry, "reserve", sometimes)
    draw("in/a.png")
    done = watched(run)
    assert done.exit_code == 0 and done.stderr.count("it is tried again") == 1, done.stderr
    assert done.stderr.endswith("1 marked, 0 moved aside\n") and Path("in/a.png").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nowhere", "out", *MARK), "expected a folder to watch, found none"),
        (("in", "in", *MARK), "expected a folder other than IN and those above it"),
        (("in", ".", *MARK), "expected a folder other than IN and those above it"),
        (("in", "out", *MARK, "--done", "out"), "expected different folders, found one twice"),
        (("in", "out"), "asset: expected --asset or --asset-from, found neither"),
        (("in", "out", "--read", "--owner", "x"), "--read: expected it without --owner"),
        (("in", "out", *MARK, "--psnr", "1"), "expected 30 to 55 dB"),
    ],
)
def test_what_makes_no_sense_is_one_line(run: Run, arguments: tuple[str, ...], said: str) -> None:
    Path("in").mkdir()
    done = run("watch", *arguments, "--once")
    assert done.exit_code == 2 and said in done.stderr and done.stderr.count("\n") == 1


def test_an_output_folder_has_one_run_at_a_time(run: Run) -> None:
    from wam.jobs.manifest import Manifest

    Path("out").mkdir()
    with Manifest(Path("out")):
        done = watched(run)
    assert done.exit_code == 2 and "found another run writing there" in done.stderr


def test_a_folder_that_is_away_is_waited_for_and_said_once(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("in").mkdir()
    looks: list[float] = []

    def sleep(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 1:
            Path("in").rename("away")
        elif len(looks) == 4:
            draw("away/a.png")
            Path("away").rename("in")
        elif len(looks) == 8:
            raise KeyboardInterrupt

    monkeypatch.setattr(command.clock, "sleep", sleep)
    done = run("watch", "in", "out", *MARK, "--settle", "0", "--every", "0.05")
    assert done.exit_code == 0 and done.stderr.count("waiting for it") == 1, done.stderr
    assert done.stderr.endswith("note: ended\n1 marked, 0 moved aside\n")


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_a_run_that_is_killed_is_gone_on_with(tmp_path: Path) -> None:
    folder, registry = tmp_path / "in", tmp_path / "registry.sqlite"
    folder.mkdir()
    content = draw(str(tmp_path / "whole.png")).read_bytes()
    environment = {
        **os.environ, "PYTHONPATH": str(ROOT), "XDG_DATA_HOME": str(tmp_path), "OMP_NUM_THREADS": "1",
        "WAM_REGISTRY": str(registry),
    }  # fmt: skip
    line = [sys.executable, "-m", "wam", "watch", "in", "out", *MARK, "--every", "0.1", "--settle", "1"]
    with subprocess.Popen(line, env=environment, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        try:
            for part in range(0, len(content), len(content) // 6 + 1):  # an upload that takes its time
                with open(folder / "slow.png", "ab") as stream:
                    stream.write(content[part : part + len(content) // 6 + 1])
                time.sleep(0.2)
            wait_for(lambda: (tmp_path / "out" / "slow.png").exists(), process)
            Image.open(tmp_path / "out" / "slow.png").load()
            for number in range(8):
                draw(str(folder / f"{number}.png"), seed=number)
            wait_for(lambda: len(list((tmp_path / "out").glob("*.png"))) >= 3, process)
        finally:
            process.send_signal(signal.SIGKILL)
    end = subprocess.run([*line, "--once"], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert end.returncode == 0, end.stderr
    assert not (folder / "failed").exists() or not list((folder / "failed").iterdir())
    made = sorted(path.name for path in (tmp_path / "out").glob("*.png"))
    assert made == [*(f"{number}.png" for number in range(8)), "slow.png"]
    entries = list(Registry.open(str(registry)).entries())
    assert [entry.state for entry in entries] == ["marked"] * 9  # none twice, none lost
    assert sorted(Path(str(entry.output)).name for entry in entries) == made


def wait_for(condition: object, process: subprocess.Popen[str], seconds: float = 240) -> None:
    assert callable(condition)
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end and process.poll() is None
        time.sleep(0.05)
