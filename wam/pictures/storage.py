"""Where pictures are: files of this machine, or objects behind an fsspec URL such as ``s3://bucket/a.jpg``."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any

from wam.errors import ImageError
from wam.pictures.files import MAX_BYTES, write_bytes
from wam.pictures.files import read_content as read_file
from wam.pictures.formats import SUFFIXES

OBJECT_STORES = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "oci", "obs"})  # no folders
Location = str | Path  # a URL or "-" is text, a local file a path: Path("s3://a") would lose a slash


class _Named(io.BytesIO):
    """Content that errors call by its URL."""

    def __init__(self, content: bytes, name: str) -> None:
        super().__init__(content)
        self.name = name


def is_url(name: object) -> bool:
    """Whether a name is a URL for fsspec.

    >>> is_url("s3://bucket/a.jpg"), is_url("a.jpg"), is_url("-")
    (True, False, False)
    """
    return isinstance(name, str) and "://" in name


def locate(name: str) -> Location:
    """A location as typed: URLs and "-" stay text."""
    return name if is_url(name) or name == "-" else Path(name)


def join(folder: Location, relative: PurePosixPath | str) -> Location:
    """A place below a folder; ``relative`` has forward slashes."""
    return f"{folder.rstrip('/')}/{relative}" if isinstance(folder, str) else folder / str(relative)


def suffix_of(location: Location) -> str:
    """The extension in lower case, with its dot."""
    return PurePosixPath(os.fspath(location)).suffix.lower()


def fetch(source: Location) -> tuple[bytes, str]:
    """The content behind a path, URL or "-", and what errors call it; raises ``ImageError``."""
    return read_file(_readable(source))


def _readable(source: Location) -> Location | _Named:
    """A local name as it is, the content behind a URL."""
    if not is_url(source):
        return source
    name = str(source)
    with _any_error(name, expected="a readable file", remedy="check the URL and your access"):
        system, path = _open(name)
        with system.open(path, "rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    return _Named(content, name)


def write_content(target: Location, content: bytes, *, make_folders: bool = False) -> None:
    """Writes a file whole or not at all; an object store's upload is whole by itself."""
    if isinstance(target, Path):
        if make_folders:
            with _any_error(str(target), expected="a folder to write to", remedy="choose another place"):
                target.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(target, content)
        return
    with _any_error(target, expected="a place that can be written", remedy="check the URL and your access"):
        system, path = _open(target)
        if OBJECT_STORES.isdisjoint([system.protocol] if isinstance(system.protocol, str) else system.protocol):
            system.makedirs(os.path.dirname(path), exist_ok=True)  # there it would make a bucket of a misspelt name
        system.pipe_file(path, content)


def read_content(location: Location) -> bytes:
    """All bytes; raises ``OSError`` where there is nothing to read."""
    if isinstance(location, Path):
        return location.read_bytes()
    system, path = _open(location)
    return bytes(system.cat_file(path))


def exists(location: Location) -> bool:
    """Whether anything is there under that name."""
    if isinstance(location, Path):
        return os.path.lexists(location)
    with suppress(Exception):  # whatever fsspec's libraries raise: writing there will tell
        system, path = _open(location)
        return bool(system.exists(path))
    return False


def hash_of(location: Location) -> str | None:
    """SHA-256 of what is there, hex digits; None where nothing can be read."""
    try:
        return hashlib.sha256(read_content(location)).hexdigest()
    except OSError:
        return None


def fingerprint(source: Location) -> str | None:
    """What changes when a file is replaced: its size and time, or an object's tag; None where nothing is there."""
    try:
        if isinstance(source, Path):
            found = source.stat()
            return f"{found.st_size}-{found.st_mtime_ns}"
        if not is_url(source):
            return None
        system, path = _open(source)
        info = system.info(path)
    except OSError:
        return None
    changed = next((info[key] for key in ("ETag", "etag", "LastModified", "mtime", "created") if key in info), "")
    return f"{info.get('size')}-{changed}"


def pictures_below(folder: str) -> list[Location]:
    """URLs of the pictures in a remote folder, recursively and sorted; the URL itself if it is no folder."""
    with _any_error(folder, expected="a readable folder", remedy="check the URL and your access"):
        system, path = _open(folder)
        if not system.isdir(path):
            return [folder]
        found = sorted(system.find(path))
    root = path.rstrip("/")
    below = (PurePosixPath(name.removeprefix(root).lstrip("/")) for name in found)
    pictures = (name for name in below if name.suffix.lower() in SUFFIXES and not name.name.startswith("."))
    return [join(folder, name) for name in pictures] or [folder]


def _open(url: str) -> tuple[Any, str]:
    """The file system of a URL and the path on it."""
    import fsspec

    system, path = fsspec.core.url_to_fs(url)
    return system, str(path)


@contextmanager
def _any_error(name: str, *, expected: str, remedy: str) -> Iterator[None]:
    """File systems of fsspec raise what their libraries raise: any of it is one line about the file."""
    try:
        yield
    except ImageError:
        raise
    except Exception as error:
        found = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
        raise ImageError.about(name, expected=expected, found=found, remedy=remedy) from error
