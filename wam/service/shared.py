"""What several machines that serve as one have in common beside registry and keys: an object store, or a folder that
all of them mount, for overlays, masks, and what jobs have come to."""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from time import time
from typing import IO, Any, BinaryIO, Protocol

from wam.errors import OptionsError, mask_secrets, show_name
from wam.service.problems import unavailable

LOG = logging.getLogger("wam.service")
PART = ".part"  # what the name of a file ends in that is not whole yet
PART_SECONDS = 3600.0  # after which whoever was writing it, a result of some megabytes, is gone
KINDS = {"image/jpeg": "j", "image/png": "p"}  # the first letter of a token


class Results(Protocol):
    """Where overlays and masks are kept for a while: ``KeptFiles`` of one machine, or ``SharedResults``."""

    def put(self, content: bytes, media_type: str, client: str) -> str:
        """Keeps a content; the token that gives it back to this client."""
        ...

    def get(self, token: str, client: str) -> tuple[bytes, str] | None:
        """The content and its type; None where there is none for this client, or no more."""
        ...

    def sweep(self) -> None:
        """Removes what is over."""
        ...


@dataclass(frozen=True)
class Found:
    """One file of the store: its name, bytes, and when it was written (seconds since 1970)."""

    name: str
    size: int
    when: float


class Store:
    """Files below an fsspec URL. All of it raises ``Problem`` where the store does not answer."""

    def __init__(self, url: str) -> None:
        import fsspec

        try:
            self._system, path = fsspec.core.url_to_fs(url, use_listings_cache=False)
        except Exception as error:  # whatever its libraries raise
            raise OptionsError(
                f"shared: expected a folder or URL that can be used, found {show_name(mask_secrets(url))}: "
                f"{show_name(str(error))}; name another"
            ) from error
        self._root = str(path).rstrip("/")
        protocol = self._system.protocol
        self._is_local = "file" in ((protocol,) if isinstance(protocol, str) else protocol)

    def path(self, name: str) -> Path | None:
        """Where a file is on this machine; None for one that is elsewhere."""
        return Path(self._place(name)) if self._is_local else None

    def put(self, name: str, content: bytes) -> None:
        """Writes a file, whole for whoever reads it."""
        with self._problems():
            place = self._place(name)
            if not self._is_local:
                self._system.pipe_file(place, content)
                return
            part = f"{place}.{secrets.token_hex(8)}{PART}"
            self._system.makedirs(self._system._parent(place), exist_ok=True)
            try:
                self._system.pipe_file(part, content)
                self._system.mv(part, place)
            except BaseException:  # a full disk, say
                Path(part).unlink(missing_ok=True)
                raise

    def put_new(self, name: str, content: bytes) -> bool:
        """Writes a file unless there is one of this name; False where there is. Of several machines that try one does,
        where the store can do that: folders, and objects with conditional writes."""
        with self._problems():
            place = self._place(name)
            self._system.makedirs(self._system._parent(place), exist_ok=True)
            try:
                if self._is_local:
                    with open(place, "xb") as stream:
                        stream.write(content)
                else:
                    self._system.pipe_file(place, content, mode="create")
            except FileExistsError:
                return False
            return True

    @contextmanager
    def writing(self, name: str) -> Iterator[IO[bytes]]:
        """A file to be written bit by bit, which is there when all of it is."""
        with self._problems():
            place = self._place(name)
            self._system.makedirs(self._system._parent(place), exist_ok=True)
            part = f"{place}.{secrets.token_hex(8)}{PART}" if self._is_local else place
            stream = self._system.open(part, "wb")
        try:
            yield stream
        except BaseException:
            with suppress(Exception):
                if self._is_local:
                    stream.close()
                    Path(part).unlink()
                else:
                    stream.discard()  # closing it would write what there is
            raise
        with self._problems():
            stream.close()
            if self._is_local:
                self._system.mv(part, place)

    def get(self, name: str) -> bytes | None:
        """A file's content; None where there is none."""
        with self._problems():
            try:
                return bytes(self._system.cat_file(self._place(name)))
            except FileNotFoundError:
                return None

    def find(self, name: str) -> Found | None:
        """What is known of a file."""
        with self._problems():
            try:
                return self._found(self._system.info(self._place(name)))
            except FileNotFoundError:
                return None

    def list(self, folder: str, *, prefix: bool = False, parts: bool = False) -> list[Found]:
        """The files below a folder, by name; with ``prefix`` those of the folder itself whose names begin so. Those
        that are still being written, or were when a service was killed, only with ``parts``."""
        above, _, begin = folder.rpartition("/") if prefix else (folder, "", "")
        with self._problems():
            try:
                place = self._place(above)
                entries = (
                    self._system.ls(place, detail=True) if prefix else self._system.find(place, detail=True).values()
                )
            except FileNotFoundError:
                return []
            found = [self._found(entry) for entry in entries if entry["type"] == "file"]
            begun = [one for one in found if one.name.startswith(f"{above}/{begin}")]
            return sorted((one for one in begun if parts or not one.name.endswith(PART)), key=lambda one: one.name)

    def folders(self, folder: str) -> Sequence[str]:
        """The names of the folders in one."""
        with self._problems():
            try:
                entries = self._system.ls(self._place(folder), detail=True)
            except FileNotFoundError:
                return []
            return sorted(str(one["name"]).rpartition("/")[2] for one in entries if one["type"] == "directory")

    def open(self, name: str) -> BinaryIO:
        """A file to be read bit by bit; raises ``FileNotFoundError``."""
        return self._system.open(self._place(name), "rb")  # type: ignore[no-any-return]

    def remove(self, *names: str) -> None:
        """Removes files, or folders with all that is in them; what is not there is no matter."""
        for name in names:
            with self._problems():
                try:
                    self._system.rm(self._place(name), recursive=True)
                except FileNotFoundError:
                    continue

    def _place(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _found(self, info: dict[str, Any]) -> Found:
        when = next((info[key] for key in ("LastModified", "mtime", "updated", "created") if key in info), 0.0)
        seconds = when.timestamp() if isinstance(when, datetime) else float(when)
        return Found(str(info["name"]).removeprefix(f"{self._root}/"), int(info["size"] or 0), seconds)

    @contextmanager
    def _problems(self) -> Iterator[None]:
        """What goes wrong there is not the fault of who asks; it is logged by its kind: names and keys may be in it."""
        try:
            yield
        except FileNotFoundError:
            raise
        except Exception as error:
            LOG.error(json.dumps({"fault": type(error).__name__, "at": "shared store"}))
            raise unavailable("store: expected it to answer, found that it does not; try again") from None


class SharedResults:
    """``KeptFiles`` in a store: each under a name that only who holds the token, and is the client that it was made
    for, comes to; the oldest go first when it is more than ``most`` bytes."""

    def __init__(self, store: Store, *, seconds: float, most: int) -> None:
        self._store, self._seconds, self._most = store, seconds, most

    def put(self, content: bytes, media_type: str, client: str) -> str:
        """See ``Results``."""
        token = KINDS[media_type] + secrets.token_urlsafe(24)
        self._store.put(_name(token, client), content)
        return token

    def get(self, token: str, client: str) -> tuple[bytes, str] | None:
        """See ``Results``."""
        kind = next((kind for kind, letter in KINDS.items() if token.startswith(letter)), None)
        found = None if kind is None else self._store.find(_name(token, client))
        if kind is None or found is None or found.when < time() - self._seconds:
            return None
        content = self._store.get(found.name)
        return None if content is None else (content, kind)

    def sweep(self) -> None:
        """See ``Results``."""
        files = sorted(self._store.list("results", parts=True), key=lambda one: one.when)
        total, now = sum(one.size for one in files), time()
        for one in files:
            if one.name.endswith(PART):
                if one.when < now - PART_SECONDS:
                    self._store.remove(one.name)
            elif one.when < now - self._seconds or total > self._most:
                self._store.remove(one.name)
            else:
                continue
            total -= one.size


def _name(token: str, client: str) -> str:
    digest = hashlib.sha256(b"\0".join([token.encode(), client.encode()])).hexdigest()
    return f"results/{digest}"
