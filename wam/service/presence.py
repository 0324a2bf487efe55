"""Whether the service that works on a job is still there.

On one machine a lock says so, which the system lets go of when a process ends, however it ends. Of a service on
another machine nothing is known but when it last told how far it is.
"""

from __future__ import annotations

import os
import secrets
import time
import uuid
from contextlib import suppress
from pathlib import Path

from wam.service.held import WORKS, hold, take_away
from wam.service.shared import Store

LOST_SECONDS = 150.0  # without a word, after which a service on another machine is taken for gone
OLD_SECONDS = 86_400.0  # after which the file of a service on another machine is nobody's: it is touched at each sweep
BOOT = Path("/proc/sys/kernel/random/boot_id")


class Presence:
    """One service among those that share a store; ``close`` says that it is gone."""

    def __init__(self, store: Store) -> None:
        self._folder = store.path("owners") if WORKS else None
        self.name = f"{_machine()}-{secrets.token_hex(8)}"
        self._handle: int | None = None
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._handle = hold(self._folder / self.name)

    def is_gone(self, owner: str | None, at: float) -> bool:
        """Whether nobody works any more on what an owner had, who last told of it ``at`` seconds since 1970."""
        if owner is None:  # it has let it go
            return True
        if self._folder is None or not owner.startswith(f"{_machine()}-"):
            return at < time.time() - LOST_SECONDS
        try:
            return take_away(self._folder / owner)
        except OSError:
            return False

    def sweep(self) -> None:
        """Says that this one is there, and removes what services left that were killed: on this machine those whose
        lock is free, of other machines, or of this one before it was started, what is older than a day."""
        if self._folder is None or self._handle is None:
            return
        os.utime(self._handle)
        for path in self._folder.iterdir():
            with suppress(OSError):  # another service was quicker
                if path.name == self.name:
                    continue
                if path.name.startswith(f"{_machine()}-"):
                    take_away(path)
                elif path.stat().st_mtime < time.time() - OLD_SECONDS:
                    path.unlink()

    def close(self) -> None:
        """Lets go."""
        if self._handle is not None and self._folder is not None:
            with suppress(FileNotFoundError):
                os.unlink(self._folder / self.name)
            os.close(self._handle)
            self._handle = None


def _machine() -> str:
    """A name of this machine since it was started."""
    with suppress(OSError):
        return BOOT.read_text().strip().replace("-", "")
    return f"{uuid.getnode():012x}"
