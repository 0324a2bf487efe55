"""Folders and files that may not be read or written, for a user whom the file system refuses something.

Root is refused nothing, so that the command runs in a process that becomes nobody; what it imports is imported before.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from payload import Record
from payload.registry import Registry
from payload.registry.database import connect, locate
from tests.wam.synthetic import smooth_picture
from wam.pipeline import mark_link

pytestmark = pytest.mark.skipif(not hasattr(os, "getuid"), reason="needs the permissions of a Unix file system")
ROOT = Path(mark_link.__file__).parents[2]
SHIPPED = ROOT / "tests" / "data" / "0.2.0" / "registry.sqlite"
NOBODY = 65534  # user id
COMMAND = """
import os, shutil, sys
from pathlib import Path
from payload.registry import Registry
from tests.wam.synthetic import handmade_marker, smooth_picture
from wam import watermarker
from wam.cli import app
watermarker.load = lambda *_, **__: handmade_marker()
folder = Path(sys.argv[1])
if os.getuid() == 0:  # everything is imported by a run as root
    app(["embed", str(folder / "warm.png"), "--asset", "1", "--owner", "a", "-o", str(folder / "warm.wm.png"),
         "--registry", str(folder / "warm.sqlite")], standalone_mode=False)
    app(["detect", str(folder / "warm.wm.png"), "--registry", str(folder / "warm.sqlite")], standalone_mode=False)
    if (folder / "old.sqlite").exists():  # what migrates it is imported too
        shutil.copy(folder / "old.sqlite", folder / "warm-old.sqlite")
        Registry.open(str(folder / "warm-old.sqlite"))
    os.setgid(65534), os.setuid(65534)
os.chdir(folder)
print(file=sys.stderr)
sys.exit(app(sys.argv[2:], standalone_mode=False))
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder of the user who runs the command, with ``photos/a.png``, ``photos/b.png`` and ``photos/deep/c.png``."""
    with tempfile.TemporaryDirectory(prefix="wam-") as name:
        path = Path(name)
        (path / "photos/deep").mkdir(parents=True)
        for seed, place in enumerate(("warm.png", "photos/a.png", "photos/b.png", "photos/deep/c.png")):
            Image.fromarray(smooth_picture(seed=seed)).save(path / place)
        if os.getuid() == 0:
            for one in [path, *path.rglob("*")]:
                shutil.chown(one, NOBODY, NOBODY)
        yield path
        for one in path.rglob("*"):
            one.chmod(stat.S_IRWXU)


def embed(folder: Path, *arguments: str) -> tuple[int, list[dict[str, Any]], list[str]]:
    """Exit status, what is on standard output, and the lines on standard error."""
    return wam(folder, "embed", *arguments, "--asset-from", "name", "--owner", "acme", "--json")


def wam(folder: Path, *arguments: str) -> tuple[int, list[dict[str, Any]], list[str]]:
    """The same of any command."""
    command = [sys.executable, "-c", COMMAND, str(folder), *arguments, "--registry", str(folder / "r.sqlite")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    objects = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    said = done.stderr.partition("\n")[2].splitlines() if done.stderr.startswith("\n") else done.stderr.splitlines()
    return done.returncode, objects, [line for line in said if line]


def states(folder: Path) -> dict[str, str]:
    return {entry.record.asset: entry.state for entry in Registry.open(str(folder / "r.sqlite"), create=False).list()}


def test_a_file_and_a_folder_that_may_not_be_read_cost_themselves_only(folder: Path) -> None:
    (folder / "photos/b.png").chmod(0)
    (folder / "photos/deep").chmod(0)
    status, objects, said = embed(folder, "photos", "--out-dir", "out")
    assert status == 1
    assert [(one["image"], one["error"] is None) for one in objects] == [
        ("photos/a.png", True), ("photos/b.png", False), ("photos/deep", False),
    ]  # fmt: skip
    assert said[:2] == [f"error: {one['error']}" for one in objects[1:]] and len(said) == 3
    assert said[0].startswith("error: photos/b.png: expected a readable file, found Permission denied")
    assert said[1].startswith("error: photos/deep: expected a readable folder, found Permission denied")
    assert said[2].startswith("1 marked, 0 skipped, 2 failed")
    assert states(folder) == {"a": "marked"}
    assert sorted(path.name for path in (folder / "out").rglob("*")) == ["a.png", "manifest.jsonl"]


def test_an_output_folder_that_may_not_be_written_is_a_usage_error(folder: Path) -> None:
    (folder / "out").mkdir()
    (folder / "out").chmod(0o555)
    status, objects, said = embed(folder, "photos", "--out-dir", "out")
    assert (status, objects, len(said)) == (2, [], 1)
    assert said[0].startswith("error: out/manifest.jsonl: expected to write it, found: Permission denied")
    assert states(folder) == {}
    status, objects, said = embed(folder, "photos", "--out-dir", "out/new")
    assert (status, objects, len(said)) == (2, [], 1)
    assert said[0].startswith("error: out/new: expected a folder to write to, found: Permission denied")


def test_outputs_beside_inputs_in_a_folder_that_may_not_be_written(folder: Path) -> None:
    (folder / "photos").chmod(0o555)
    status, objects, said = embed(folder, "photos")
    assert status == 1
    assert [(one["image"], one["error"] is None) for one in objects] == [
        ("photos/a.png", False), ("photos/b.png", False), ("photos/deep/c.png", True),
    ]  # fmt: skip
    assert said[0].startswith("error: photos/a.wm.png: expected a file that can be written, found Permission denied")
    assert states(folder) == {"a": "discarded", "b": "discarded", "c": "marked"}
    assert not list((folder / "photos").glob(".wam-*"))


@pytest.mark.parametrize(
    "log", [*(pytest.param(log, marks=pytest.mark.slow) for log in ("none", "empty")), "in use", "left over"]
)
def test_a_registry_in_a_folder_that_may_not_be_written_is_read(folder: Path, log: str) -> None:
    embed(folder, "photos/a.png")
    registry = Registry.open(str(folder / "r.sqlite"))
    if log == "empty":
        (folder / "r.sqlite-wal").touch()
    elif log in ("in use", "left over"):
        open_one = connect(locate(str(folder / "r.sqlite")), create=True)  # a connection that is open keeps the log
        with open_one.connect():
            registry.allocate(Record("later", "acme"))
            for ending in ("-wal", "-shm")[: 2 if log == "in use" else 1]:
                shutil.copy(folder / f"r.sqlite{ending}", folder / f"copy{ending}")
        for copy in folder.glob("copy-*"):
            copy.rename(folder / copy.name.replace("copy", "r.sqlite"))
            (folder / copy.name.replace("copy", "r.sqlite")).chmod(0o644)
    folder.chmod(0o555)
    status, objects, said = wam(folder, "detect", "photos/a.wm.png", "--json")
    folder.chmod(0o755)
    if log == "left over":
        assert status == 2 and len(said) == 1
        assert "r.sqlite-wal holds records that are not in the file yet, found a read-only one" in said[0]
    else:
        assert (status, said) == (0, [])
        assert [mark["status"] for mark in objects[0]["watermarks"]] == ["verified"]


def test_a_registry_of_0_2_0_that_may_not_be_written_is_read_and_not_written(folder: Path) -> None:
    """It would have to be migrated first; the folder can be written, the file cannot."""
    shutil.copy(SHIPPED, folder / "old.sqlite")
    shutil.copy(SHIPPED, folder / "r.sqlite")
    (folder / "r.sqlite").chmod(0o444)
    before = (folder / "r.sqlite").read_bytes()
    status, objects, said = wam(folder, "registry", "list", "--json")
    assert (status, said) == (0, []) and [one["record"]["asset"] for one in objects] == ["a", "b", "keyed", "gone"]
    status, objects, said = wam(folder, "registry", "withdraw", objects[0]["link"])
    assert (status, objects, len(said)) == (1, [], 1)
    assert said[0].startswith(f"error: registry {folder / 'r.sqlite'}: expected to read and write it, found: ")
    status, objects, said = embed(folder, "photos")
    assert (status, objects, len(said)) == (2, [], 1)
    assert said[0].startswith(f"error: registry {folder / 'r.sqlite'}: expected ")
    assert (folder / "r.sqlite").read_bytes() == before


def test_a_registry_that_may_not_be_written_is_a_usage_error(folder: Path) -> None:
    Registry.open(str(folder / "r.sqlite"))
    (folder / "r.sqlite").chmod(0o444)
    folder.chmod(0o555)
    status, objects, said = embed(folder, "photos")
    folder.chmod(0o755)
    assert (status, objects, len(said)) == (2, [], 1)
    assert said[0].startswith(f"error: registry {folder / 'r.sqlite'}: expected ")
    assert not list((folder / "photos").rglob("*.wm.png"))
