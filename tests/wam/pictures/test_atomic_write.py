"""Writing whole or not at all: what a failure leaves, permissions and links."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from wam.pictures.atomic_write import save_atomically

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


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_new_file_has_ordinary_permissions(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        save_atomically(tmp_path / "ours", write_after)
    finally:
        os.umask(before)
    assert (tmp_path / "ours").stat().st_mode & 0o777 == 0o666 & ~mask
