"""Where pictures are: files of this machine, or objects behind an fsspec URL such as ``s3://bucket/a.jpg``."""

from __future__ import annotations

import hashlib
import io
import os
import re
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any

from wam.errors import ImageError
from wam.pictures.files import MAX_BYTES, write_bytes
from wam.pictures.files import read_content as read_file
from wam.pictures.kinds import READ_SUFFIXES

LOCAL = frozenset({"file", "local"})  # protocols of this machine's files
LAYERS = frozenset({"dir", "simplecache", "filecache", "blockcache", "cached"})  # that lie over another file system
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
    """A location as typed: URLs and "-" stay text, but for URLs of this machine's own files, which are their paths.

    >>> locate("file:///photos/a.png").as_posix(), locate("s3://photos/a.png")
    ('/photos/a.png', 's3://photos/a.png')
    """
    if not is_url(name):
        return name if name == "-" else Path(name)
    scheme, _, rest = name.partition("://")
    if scheme.lower() not in LOCAL:
        return name
    rest = re.sub(r"(?i)^localhost(?=/)", "", rest)
    return Path(os.path.abspath(os.path.expanduser(rest)))


def place_of(location: Location) -> str:
    """What a location comes to, however it is spelt: links, ``..`` and letters that a file system takes for one
    another resolved, caches and folders of fsspec, other names of one protocol seen through. Stands loops of links."""
    if isinstance(location, Path) or not is_url(location):
        return _local_place(location)
    url = location.rpartition("::")[2] if _is_cached(location) else location
    found = locate(url)
    if isinstance(found, Path):
        return _local_place(found)
    try:
        system, path = _open(url)
    except Exception:  # a protocol that nothing here reads: doing so will tell
        return url
    while _protocols(system) & LAYERS and getattr(system, "fs", None) is not None:
        path = f"{system.path}/{path}" if "dir" in _protocols(system) else path
        system = system.fs
    if _protocols(system) & LOCAL:
        return _local_place(path)
    host = getattr(system, "host", None) or ""
    return f"{type(system).__name__}://{host}/{path.lstrip('/')}"


def _local_place(path: str | Path) -> str:
    """The real path, or what else tells that two names are one file where the file system ignores case or accents."""
    real = os.path.realpath(path)
    try:
        found = os.stat(real)
    except OSError:
        return real
    return f"{found.st_dev}:{found.st_ino}:{unicodedata.normalize('NFC', real).casefold()}"


def _is_cached(url: str) -> bool:
    """Whether a chain of fsspec is one of caches, which write to what they stand for."""
    return all(part.endswith("cache") for part in url.split("::")[:-1])


def _protocols(system: Any) -> frozenset[str]:
    return frozenset([system.protocol] if isinstance(system.protocol, str) else system.protocol)


def is_inside(location: Location, folder: Location) -> bool:
    """Whether a place is below a folder once links are followed."""
    if is_url(location) or is_url(folder):
        return place_of(location).startswith(place_of(folder).rstrip("/") + "/")
    root = os.path.realpath(folder).rstrip(os.sep) + os.sep
    return os.path.realpath(location).startswith(root)


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
    """Writes a file whole or not at all; an object store's upload is whole by itself; "-" is standard output."""
    if target == "-":
        _write_stream(content)
        return
    if isinstance(target, Path):
        if make_folders:
            with _any_error(str(target), expected="a folder to write to", remedy="choose another place"):
                target.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(target, content)
        return
    with _any_error(target, expected="a place that can be written", remedy="check the URL and your access"):
        system, path = _open(target)
        if OBJECT_STORES.isdisjoint(_protocols(system)):
            system.makedirs(os.path.dirname(path), exist_ok=True)  # there it would make a bucket of a misspelt name
        system.pipe_file(path, content)


def _write_stream(content: bytes) -> None:
    """To standard output, flushed; a reader that has gone away is an error now and no second one at the end."""
    with _any_error("standard output", expected="a pipe or file that takes the picture", remedy="check what reads it"):
        try:
            sys.stdout.buffer.write(content)
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise


def read_content(location: Location) -> bytes:
    """All bytes; raises ``OSError`` where there is nothing to read."""
    if isinstance(location, Path):
        return location.read_bytes()
    system, path = _open(location)
    return bytes(system.cat_file(path))


def exists(location: Location) -> bool:
    """Whether anything is there under that name."""
    if location == "-":
        return False
    if isinstance(location, Path):
        return os.path.lexists(location)
    with suppress(Exception):  # whatever fsspec's libraries raise: writing there will tell
        system, path = _open(location)
        return bool(system.exists(path))
    return False


def hash_of(location: Location) -> str | None:
    """SHA-256 of what is there, hex digits; None where nothing can be read."""
    try:
        return digest_of(read_content(location))
    except OSError:
        return None


def digest_of(content: bytes) -> str:
    """What a source is known again by, whatever it is called: the same on every machine and with every codec."""
    return hashlib.sha256(content).hexdigest()


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


def pictures_below(folder: str) -> Iterator[Location]:
    """URLs of the pictures in a remote folder, recursively and in order, each folder listed when its turn has come; the
    URL itself if it is no folder. Raises ``ImageError`` for what cannot be listed."""
    with _listing_errors(folder):
        system, path = _open(folder)
        is_folder = system.isdir(path)
    root, any_found = path.rstrip("/"), False
    for name in _remote_files(system, path, folder) if is_folder else ():
        below = PurePosixPath(name.removeprefix(root).lstrip("/"))
        if below.suffix.lower() in READ_SUFFIXES and not below.name.startswith("."):
            any_found = True
            yield join(folder, below)
    if not any_found:
        yield folder


def _remote_files(system: Any, root: str, url: str) -> Iterator[str]:
    """Names of the files below a folder of a file system, in order; ``url`` is what errors call it."""
    seen: set[str] = set()
    waiting = [(root, True)]  # the next one last, each with whether it is a folder
    while waiting:
        path, is_folder = waiting.pop()
        if not is_folder:
            yield path
        elif (place := path.rstrip("/")) not in seen:
            seen.add(place)
            with _listing_errors(url):
                found = sorted(
                    (str(entry["name"]), entry["type"] == "directory") for entry in system.ls(path, detail=True)
                )
            waiting += [(name, below) for name, below in reversed(found) if name.rstrip("/") != place]


def _open(url: str) -> tuple[Any, str]:
    """The file system of a URL and the path on it."""
    import fsspec

    system, path = fsspec.core.url_to_fs(url)
    return system, str(path)


def _listing_errors(url: str) -> AbstractContextManager[None]:
    return _any_error(url, expected="a readable folder", remedy="check the URL and your access")


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
