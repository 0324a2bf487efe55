"""Files that are kept for a while in a folder of the service's own, which only its user can read and which goes when
the service ends: overlays and masks behind links that nobody can guess, and archives of jobs."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
import threading
import time
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from wam.service.held import hold, unheld

PREFIX = "wam-service-"
LOCK = "held"  # the name of a file in it, which is held as long as the service lives


@dataclass(frozen=True)
class _Kept:
    path: Path
    media_type: str
    client: str
    size: int
    end: float


class PrivateFolder:
    """A folder that is made at once and removed with all that is in it by ``close``. Those of services that were killed
    are removed when the next makes its own."""

    def __init__(self) -> None:
        _sweep(Path(tempfile.gettempdir()))
        while True:
            self.path = Path(tempfile.mkdtemp(prefix=PREFIX))  # 0700
            try:
                self._handle: int | None = hold(self.path / LOCK)
                return
            except FileNotFoundError:  # another service that starts took the folder for one that was left
                continue

    def new_file(self) -> Path:
        """The name of a file that is not there yet."""
        return self.path / secrets.token_hex(16)

    def unnamed(self) -> IO[bytes]:
        """A file that is gone when it is closed, whatever becomes of the process."""
        return tempfile.TemporaryFile(dir=self.path)

    def close(self) -> None:
        """Removes it."""
        if self._handle is not None:  # first: Windows removes no file that is open
            os.close(self._handle)
            self._handle = None
        shutil.rmtree(self.path, ignore_errors=True)


class KeptFiles:
    """Contents behind random tokens, each for the client that it was made for, ``seconds`` long and ``most`` bytes in
    all: the oldest go first."""

    def __init__(self, folder: PrivateFolder, *, seconds: float, most: int) -> None:
        self._folder, self._seconds, self._most = folder, seconds, most
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._bytes = 0

    def put(self, content: bytes, media_type: str, client: str) -> str:
        """Keeps a content; the token that gives it back."""
        token, path = secrets.token_urlsafe(24), self._folder.new_file()
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
        except BaseException:  # a full disk, say: nobody would remove the rest
            path.unlink(missing_ok=True)
            raise
        with self._lock:
            self._kept[token] = _Kept(path, media_type, client, len(content), time.monotonic() + self._seconds)
            self._bytes += len(content)
            self._drop_old()
        return token

    def get(self, token: str, client: str) -> tuple[bytes, str] | None:
        """The content and its type; None where there is none for this client, or no more."""
        with self._lock:
            self._drop_old()
            found = self._kept.get(token)
        if found is None or found.client != client:
            return None
        with suppress(OSError):
            return found.path.read_bytes(), found.media_type
        return None

    def sweep(self) -> None:
        """Removes what is over."""
        with self._lock:
            self._drop_old()

    def _drop_old(self) -> None:
        while self._kept:
            token, oldest = next(iter(self._kept.items()))
            if oldest.end > time.monotonic() and self._bytes <= self._most:
                return
            del self._kept[token]
            self._bytes -= oldest.size
            oldest.path.unlink(missing_ok=True)


def _sweep(folder: Path) -> None:
    """Removes the folders of services that were killed: this user's, whose lock is there and free."""
    for path in folder.glob(f"{PREFIX}*"):
        with suppress(OSError):
            if (hasattr(os, "getuid") and path.lstat().st_uid != os.getuid()) or path.is_symlink():
                continue
            with unheld(path / LOCK) as free:
                if free:  # moved first: a service that is about to hold it finds it gone
                    gone = path.with_name(f"{PREFIX}{secrets.token_hex(8)}")
                    path.rename(gone)
                    shutil.rmtree(gone, ignore_errors=True)
