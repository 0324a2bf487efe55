"""What is sent for a job: files and ZIP archives, the pictures in them, and what marked ones will be called."""

from __future__ import annotations

import threading
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import IO

from wam.errors import show_name
from wam.pictures.kinds import READ_SUFFIXES
from wam.service.job_files import JobFiles, Member
from wam.service.problems import Problem, bad_request

_DAMAGED = (zipfile.BadZipFile, OSError, RuntimeError, ValueError, NotImplementedError, EOFError)


def pictures_in(stream: IO[bytes], name: str) -> tuple[list[str], int]:
    """The names of the pictures in one file that was sent under a name, which may be an archive (ZIP), and how many
    others there are; raises ``Problem``."""
    is_archive = zipfile.is_zipfile(stream) and PurePosixPath(name).suffix.lower() not in READ_SUFFIXES
    names = list(_names_in(stream, name)) if is_archive else [name]
    wanted = [one for one in names if PurePosixPath(one).suffix.lower() in READ_SUFFIXES]
    return wanted, len(names) - len(wanted)


def taken_over(files: JobFiles, uploads: Sequence[tuple[str, IO[bytes]]], most: int) -> tuple[list[Member], int]:
    """Puts an upload into the store; its pictures, ``most`` of them, and how many files were none. A file beside
    members of an archive is itself one. Raises ``Problem``."""
    members: list[Member] = []
    passed_over = 0
    for number, (name, stream) in enumerate(uploads):
        files.put_upload(number, stream)
        names, others = pictures_in(stream, name)
        members += [Member(number, one) for one in names]
        passed_over += others
        if len(members) > most:
            raise Problem(413, "too-large", f"job: expected at most {most:,} pictures, found more; send less")
    if not members:
        raise bad_request("job: expected pictures or a ZIP archive with some, found none")
    return members, passed_over


class Uploads:
    """The files of a job on this machine, each opened once; for any thread. ``most``: bytes of one picture."""

    def __init__(self, files: Sequence[Path], most: int) -> None:
        self._files, self._most = files, most
        self._lock = threading.Lock()
        self._archives: dict[int, zipfile.ZipFile | None] = {}

    def content(self, number: int, name: str) -> bytes:
        """A picture of the file of this number: never more than is allowed is unpacked, whatever an archive says of its
        size. Raises ``Problem``."""
        too_large = Problem(413, "too-large", f"{show_name(name)}: expected at most {self._most:,} bytes, found more")
        try:
            with self._lock:
                archive = self._archive(number)
                if archive is not None and name in archive.NameToInfo:
                    with archive.open(name) as stream:
                        content = stream.read(self._most + 1)
                elif self._files[number].stat().st_size > self._most:
                    raise too_large
                else:  # a picture, which may be an archive as well
                    content = self._files[number].read_bytes()
        except Problem:
            raise
        except _DAMAGED as error:
            line = f"{show_name(name)}: expected a file that can be unpacked, found a damaged or encrypted one"
            raise Problem(422, "picture", line) from error
        except Exception as error:  # zlib and lzma have errors of their own
            line = f"{show_name(name)}: expected a file that can be unpacked, found a damaged one"
            raise Problem(422, "picture", line) from error
        if len(content) > self._most:
            raise too_large
        return content

    def close(self) -> None:
        """Closes what is open."""
        with self._lock:
            for archive in self._archives.values():
                if archive is not None:
                    archive.close()
            self._archives.clear()

    def _archive(self, number: int) -> zipfile.ZipFile | None:
        if number not in self._archives:
            self._archives[number] = None
            if zipfile.is_zipfile(self._files[number]):
                with suppress(zipfile.BadZipFile):  # a picture that only looks like one
                    self._archives[number] = zipfile.ZipFile(self._files[number])
        return self._archives[number]


def checked_outputs(names: Sequence[str], format: str | None) -> list[str]:
    """What marked pictures are called in an archive, each below its top whatever the names say; raises ``Problem`` for
    two of one name, also where a file system takes them for one.

    >>> checked_outputs(["a/b.png", "../c.jpg", "C:\\\\d.png"], None), checked_outputs(["a/b.tif"], "png")
    (['a/b.png', 'c.jpg', 'C_/d.png'], ['a/b.png'])
    """
    outputs = []
    for name in names:
        parts = [part for part in name.replace("\\", "/").split("/") if part.strip(". ")]
        path = PurePosixPath(*([part.replace(":", "_") for part in parts] or ["upload"]))
        outputs.append(str(path if format is None else path.with_suffix(f".{format}")))
    twice = next((name for name, count in Counter(map(str.casefold, outputs)).items() if count > 1), None)
    if twice is not None:
        raise bad_request(f"job: expected another name for each picture, found {show_name(twice)} twice; rename one")
    return outputs


def _names_in(archive: IO[bytes], name: str) -> Iterator[str]:
    """The files of an archive; folders, and what systems hide there, left out."""
    try:
        with zipfile.ZipFile(archive) as opened:
            for one in opened.infolist():
                path = PurePosixPath(one.filename)
                if not one.is_dir() and not any(part.startswith((".", "__MACOSX")) for part in path.parts):
                    yield one.filename
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise bad_request(f"{show_name(name)}: expected a ZIP archive, found a damaged one; pack it again") from error
