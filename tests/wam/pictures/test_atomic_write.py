"""Writing whole or not at all: what a failure leaves, permissions and links."""

from __future__ import annotations

import errno
import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from wam.pictures.atomic_write import save_atomically, sweep

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def write_after(path: Path) -> None:
    path.write_bytes(b"after")


@pytest.mark.parametrize("before", [None, b"before"])
@pytest.mark.parametrize("error", [FULL, KeyboardInterrupt()])
def test_writer_that_fails_leaves_everything_as_it_was(
    tmp_path: Path, error: BaseException, before: bytes | None
) -> None:
    path = tmp_path / "out"
    if before is not None:
        path.write_bytes(before)

    def write_half(temporary: Path) -> None:
        temporary.write_bytes(b"af")
        raise error

    with pytest.raises(type(error)):
        save_atomically(path, write_half)
    assert [each.read_bytes() for each in tmp_path.iterdir()] == ([] if before is None else [before])


def test_temporary_file_is_in_the_same_folder(tmp_path: Path) -> None:
    seen: list[Path] = []
    (tmp_path / "out").write_bytes(b"before")

    def write(temporary: Path) -> None:
        seen.append(temporary)
        assert (tmp_path / "out").read_bytes() == b"before"
        write_after(temporary)

    save_atomically(tmp_path / "out", write)
    assert seen[0].parent == tmp_path
    assert list(tmp_path.iterdir()) == [tmp_path / "out"]
    assert (tmp_path / "out").read_bytes() == b"after"


@pytest.mark.parametrize("mode", [0o640, 0o600, 0o444])
def test_replaced_file_keeps_permissions_and_link(tmp_path: Path, mode: int) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"before")
    target.chmod(mode)
    link.symlink_to(target)
    save_atomically(link, write_after)
    assert link.is_symlink()
    assert target.read_bytes() == b"after"
    assert target.stat().st_mode & 0o777 == mode


def test_private_file_stays_private_while_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.touch(mode=0o600)
    modes: list[int] = []
    save_atomically(path, lambda temporary: modes.append(temporary.stat().st_mode & 0o777))
    assert modes == [0o600]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_written_into_and_stays_one(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "link").symlink_to(pipe)
    for name in ("pipe", "link"):
        got: list[bytes] = []
        reader = threading.Thread(target=lambda got=got: got.append(pipe.read_bytes()))
        reader.start()
        save_atomically(tmp_path / name, lambda temporary: temporary.write_bytes(b"whole"))
        reader.join(timeout=10)
        assert got == [b"whole"] and stat.S_ISFIFO(pipe.stat().st_mode)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["link", "pipe"]


@pytest.mark.parametrize("name", [".wam-1-0123456789ab.part", ".wam-999999-0123456789ab.part"])
def test_what_a_killed_run_left_is_removed(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"half")
    (tmp_path / "a.part").write_bytes(b"another's")
    save_atomically(tmp_path / "out", write_after)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.part", "out"]


def test_what_a_run_is_writing_stays(tmp_path: Path) -> None:
    def sweep_meanwhile(temporary: Path) -> None:
        temporary.write_bytes(b"after")
        sweep(tmp_path)
        assert temporary.exists()

    save_atomically(tmp_path / "out", sweep_meanwhile)
    assert (tmp_path / "out").read_bytes() == b"after"


def test_writers_and_sweepers_at_once_lose_nothing(tmp_path: Path) -> None:
    def work(number: int) -> None:
        save_atomically(tmp_path / str(number), write_after)
        sweep(tmp_path)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(200)))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(map(str, range(200)))


@pytest.mark.parametrize("before", [None, 0o644])
def test_a_private_file_is_its_owners_whatever_was_there(tmp_path: Path, before: int | None) -> None:
    path = tmp_path / "out"
    modes = []
    if before is not None:
        path.write_bytes(b"before")
        path.chmod(before)

    def write(temporary: Path) -> None:
        modes.append(temporary.stat().st_mode & 0o777)
        write_after(temporary)

    save_atomically(path, write, private=True)
    assert modes == [0o600] and path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_new_file_has_ordinary_permissions(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        save_atomically(tmp_path / "ours", write_after)
    finally:
        os.umask(before)
    assert (tmp_path / "ours").stat().st_mode & 0o777 == 0o666 & ~mask
