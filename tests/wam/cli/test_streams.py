"""Standard output, signals, and folders that go away while they are written to."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.wam.cli.commands import MARK, Run, counts, draw, files, objects
from tests.wam.jobs.runs import lines_so_far, wait_for
from wam.jobs import manifest
from wam.pipeline import mark_link

ROOT = Path(mark_link.__file__).parents[2]
COMMAND = """
import os, signal, sys, time
number = int(os.environ.get("HEEDS", signal.SIGTERM))
signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
from tests.wam.synthetic import handmade_marker
from wam import watermarker
from wam.cli import main
watermarker.load = lambda *_, **__: handmade_marker()
sys.argv = ["wam", *sys.argv[1:]]
main()
"""


def started(*arguments: str, heeds: int = signal.SIGTERM) -> subprocess.Popen[bytes]:
    """The ``wam`` script with the light model, in a process of its own that ``heeds`` a signal, which tests under nohup
    would have ignored. Not by code between fork and exec: where threads run, that may wait for a lock forever."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HEEDS": str(int(heeds))}
    command = [sys.executable, "-c", COMMAND, *arguments, "--registry", "r.sqlite"]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, stderr=pipe)


class TestToStandardOutput:
    @pytest.mark.parametrize("options", [(), ("--json",)])
    def test_the_picture_and_nothing_else(self, run: Run, photo: Path, options: tuple[str, ...]) -> None:
        result = run("embed", "-", *MARK, "-o", "-", *options, standard_input=photo.read_bytes())
        assert result.exit_code == 0 and files() == ["in.png"]
        Image.open(BytesIO(result.stdout_bytes)).verify()
        (said,) = result.stderr.splitlines()
        assert json.loads(said)["output"] == "-" if options else said.startswith("- -> -  wm:")
        Path("out.png").write_bytes(result.stdout_bytes)
        assert objects(run("detect", "out.png", "--json"))[0]["watermarks"][0]["status"] == "verified"

    def test_of_a_failure_nothing_at_all(self, run: Run) -> None:
        Path("bad.png").write_bytes(b"x")
        result = run("embed", "bad.png", *MARK, "-o", "-", "--json")
        assert (result.exit_code, result.stdout_bytes) == (1, b"")

    def test_several_do_not_go_there(self, run: Run, photo: Path) -> None:
        draw("b.png")
        assert run("embed", photo, "b.png", *MARK, "-o", "-").exit_code == 2

    def test_of_an_attack(self, run: Run, photo: Path) -> None:
        result = run("attack", "identity", photo, "-o", "-")
        assert result.exit_code == 0 and files() == ["in.png"]
        assert Image.open(BytesIO(result.stdout_bytes)).format == "PNG"

    def test_a_reader_that_has_gone_is_one_error(self, run: Run, photo: Path) -> None:
        reading, writing = os.pipe()
        os.close(reading)
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", COMMAND, "embed", str(photo), *MARK, "-o", "-", "--registry", "r.sqlite"]
        done = subprocess.run(command, env=environment, stdout=writing, stderr=subprocess.PIPE, timeout=120)
        os.close(writing)
        assert done.returncode == 1
        (line,) = done.stderr.decode().splitlines()
        assert line.startswith("error: standard output: expected a pipe or file that takes the picture, found Broken")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_a_run_that_is_ended_leaves_whole_files_only(run: Run, number: int, status: int) -> None:
    for seed in range(40):
        draw(f"photos/{seed:02}.png", seed=seed)
    process = started(
        "embed", "photos", "--asset-from", "name", "--owner", "a", "--out-dir", "out", "--workers", "1",
        heeds=number,
    )  # fmt: skip
    out = Path("out")
    wait_for(lambda: (out / "manifest.jsonl").exists() and len(lines_so_far(out)) > 2, seconds=120)
    process.send_signal(number)
    _, said = process.communicate(timeout=120)
    assert process.returncode == status, said
    first, last = said.decode().splitlines()
    assert last == "error: interrupted; files written so far are whole" and counts(first)[0] < 40
    assert not list(out.glob(".wam-*"))
    marked = {line["path"] for line in lines_so_far(out) if line["status"] == "marked"}
    assert {path.name for path in out.glob("*.png")} == marked


def test_what_a_killed_run_left_is_removed_by_the_next_even_if_it_has_nothing_to_do(run: Run, photo: Path) -> None:
    draw("photos/a.png")
    command = ("embed", "photos", *MARK, "--out-dir", "out", "--resume")
    assert run(*command).exit_code == 0
    Path("out/.wam-123-0123456789ab.part").write_bytes(b"half")
    from wam.pictures import atomic_write

    atomic_write.swept.clear()  # the next run is another process
    assert counts(run(*command).stderr) == (0, 1, 0)
    assert files() == ["in.png", "out/a.png", "out/manifest.jsonl", "photos/a.png"]


@pytest.mark.parametrize("again", [False, True])
def test_an_output_folder_that_vanishes_is_an_error(run: Run, monkeypatch: pytest.MonkeyPatch, again: bool) -> None:
    for seed in range(3):
        draw(f"photos/{seed}.png", seed=seed)
    add = manifest.Manifest.add

    def add_and_lose(self: manifest.Manifest, *lines: dict[str, Any], durable: bool = True) -> None:
        add(self, *lines, durable=durable)
        if lines[0]["path"] == "1.png" and lines[0]["status"] == "marked":
            shutil.rmtree("out")
            if again:
                Path("out").mkdir()

    monkeypatch.setattr(manifest.Manifest, "add", add_and_lose)
    result = run("embed", "photos", *MARK, "--out-dir", "out", "--workers", "1")
    assert result.exit_code == 1
    assert "found it gone or replaced" in result.stderr and "2 of 2 outputs gone" in result.stderr
    assert not [name for name in files() if name.startswith("out/")]


def test_an_output_that_vanishes_beside_its_input_is_an_error(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(2):
        draw(f"photos/{seed}.png", seed=seed)
    from wam.jobs.engines import local

    write = local.write_marked

    def write_and_lose(*arguments: Any, **options: Any) -> Any:
        written = write(*arguments, **options)
        Path("photos/0.wm.png").unlink(missing_ok=True)
        return written

    monkeypatch.setattr(local, "write_marked", write_and_lose)
    result = run("embed", "photos", *MARK)
    assert result.exit_code == 1
    assert "photos/0.wm.png: expected the output to stay, found 1 of 2 outputs gone" in result.stderr


def test_warnings_of_libraries_do_not_reach_the_terminal(run: Run, photo: Path) -> None:
    noisy = COMMAND.replace("main()\n", "import numpy\nfrom wam.cli import app\n") + (
        "import wam.jobs.engines.local as local\njudge = local.judge\n"
        "def warn(*a, **k):\n    numpy.log(numpy.zeros(1))\n    return judge(*a, **k)\n"
        "local.judge = warn\nmain()\n"
    )
    noisy = noisy.replace("from wam.cli import main\n", "").replace(
        "from wam.cli import app", "from wam.cli import main"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    said = {}
    for flags in ((), ("-W", "always")):
        command = [sys.executable, *flags, "-c", noisy, "detect", str(photo)]
        said[flags] = subprocess.run(command, env=environment, capture_output=True, timeout=120).stderr.decode()
    (line,) = said[()].splitlines()
    assert line.endswith("--key-file") and "divide by zero" in said["-W", "always"]
