"""What a service that was killed leaves is removed by the next, and nothing that somebody may still need."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.local import LocalFileSystem

from tests.wam.service.jobs import jobs_in
from wam.service.held import hold, take_away, unheld
from wam.service.job_files import ids
from wam.service.kept import LOCK, KeptFiles, PrivateFolder
from wam.service.presence import OLD_SECONDS, Presence
from wam.service.problems import Problem
from wam.service.shared import PART_SECONDS, SharedResults, Store

KILLED = """
import os, signal, sys
from wam.service.kept import PrivateFolder
from wam.service.presence import Presence
from wam.service.shared import Store
folder, presence = PrivateFolder(), Presence(Store(sys.argv[1]))
(folder.path / "overlay").write_bytes(b"x")
print(folder.path, presence.name, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs locks of the system")


def aged(path: Path, seconds: float) -> Path:
    os.utime(path, (time.time() - seconds,) * 2)
    return path


def test_folder_and_presence_of_a_service_that_was_killed_go_and_those_of_others_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    store = Store(str(tmp_path / "store"))
    other, alive = PrivateFolder(), Presence(store)
    foreign = tmp_path / "wam-service-foreign"  # of a version that holds nothing
    foreign.mkdir()
    ran = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path / "store")], env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE, text=True, timeout=120,
    )  # fmt: skip
    left, name = ran.stdout.split()
    owners = tmp_path / "store" / "owners"
    assert (Path(left) / "overlay").exists() and {one.name for one in owners.iterdir()} == {name, alive.name}
    far, new = (owners / f"{boot}-1" for boot in ("elsewhere", "restarted"))
    for path in (far, new):
        path.touch()
    aged(far, OLD_SECONDS + 60)
    folder, presence = PrivateFolder(), Presence(store)
    presence.sweep()
    assert {one.name for one in owners.iterdir()} == {alive.name, presence.name, new.name}
    assert {one.name for one in tmp_path.glob("wam-service-*")} == {
        folder.path.name, other.path.name, foreign.name
    }  # fmt: skip
    for one in (folder, other, alive, presence):
        one.close()
    assert [one.name for one in tmp_path.glob("wam-service-*")] == [foreign.name]


def test_a_folder_is_let_go_of_before_it_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where files that are open cannot be removed it would stay."""
    folder, free, remove = PrivateFolder(), list[bool](), shutil.rmtree

    def removed(path: Path, **how: Any) -> None:
        with unheld(path / LOCK) as one:
            free.append(one)
        remove(path, **how)

    monkeypatch.setattr(shutil, "rmtree", removed)
    folder.close()
    assert free == [True] and not folder.path.exists()


def test_what_is_kept_of_a_full_disk_is_removed(folder: PrivateFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    before = set(folder.path.iterdir())
    opened = os.fdopen

    @contextmanager
    def full(handle: int, mode: str) -> Iterator[Any]:
        with opened(handle, mode) as stream:
            stream.write(b"x")
            raise OSError(28, "No space left on device")
            yield

    monkeypatch.setattr(os, "fdopen", full)
    with pytest.raises(OSError, match="No space"):
        KeptFiles(folder, seconds=60, most=1000).put(b"1234", "image/png", "me")
    assert set(folder.path.iterdir()) == before


def test_who_is_there_says_so_at_each_sweep(tmp_path: Path) -> None:
    presence = Presence(Store(str(tmp_path)))
    place = aged(tmp_path / "owners" / presence.name, 10 * OLD_SECONDS)
    presence.sweep()
    assert place.stat().st_mtime > time.time() - 60
    presence.close()


def test_what_is_held_is_not_taken_away(tmp_path: Path) -> None:
    place = tmp_path / "one"
    handle = hold(place)
    assert not take_away(place) and place.exists()
    os.close(handle)
    assert take_away(place) and not place.exists() and take_away(place)


def test_parts_of_results_go_when_nobody_can_be_writing_them(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    kept = SharedResults(store, seconds=60, most=1000)
    token = kept.put(b"1234", "image/png", "me")
    (old, new) = (tmp_path / "results" / f"{name}.part" for name in ("old", "new"))
    for path in (old, new):
        path.write_bytes(b"x" * 100)
    aged(old, PART_SECONDS + 60)
    kept.sweep()
    assert not old.exists() and new.exists() and kept.get(token, "me") == (b"1234", "image/png")


def test_a_write_that_fails_leaves_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: object, path: str, target: str, **_: object) -> None:
        raise OSError(28, "No space left on device")

    store = Store(str(tmp_path))
    store.put("a/b", b"x")
    monkeypatch.setattr(LocalFileSystem, "mv", full)
    with pytest.raises(Problem, match="store: expected it to answer"):
        store.put("a/c", b"x")
    assert [one.name for one in (tmp_path / "a").iterdir()] == ["b"]


def test_a_job_of_which_nothing_but_a_part_is_there_goes(tmp_path: Path, folder: PrivateFolder) -> None:
    part, empty, new = (letter * 16 for letter in "abc")
    for id in (part, empty, new):
        (tmp_path / "jobs" / id).mkdir(parents=True)
    begun = tmp_path / "jobs" / part / "job.json.0.part"
    begun.touch()
    aged(begun, 7200)
    aged(tmp_path / "jobs" / empty, 7200)
    store = Store(str(tmp_path))
    asyncio.run(jobs_in(store, folder).sweep())
    assert ids(store) == [new]
