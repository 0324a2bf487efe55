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

from wam.service.shared import Store

LOST_SECONDS = 150.0  # without a word, after which a service on another machine is taken for gone
BOOT = Path("/proc/sys/kernel/random/boot_id")

try:
    import fcntl
except ImportError:  # Windows: jobs of a service that was killed go on when LOST_SECONDS are over
    fcntl = None  # type: ignore[assignment]


class Presence:
    """One service among those that share a store; ``close`` says that it is gone."""

    def __init__(self, store: Store) -> None:
        self._folder = store.path("owners") if fcntl is not None else None
        self.name = f"{_machine()}-{secrets.token_hex(8)}"
        self._handle: int | None = None
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._handle = os.open(self._folder / self.name, os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(self._handle, fcntl.LOCK_EX)

    def is_gone(self, owner: str | None, at: float) -> bool:
        """Whether nobody works any more on what an owner had, who last told of it ``at`` seconds since 1970."""
        if owner is None:  # it has let it go
            return True
        if self._folder is None or not owner.startswith(f"{_machine()}-"):
            return at < time.time() - LOST_SECONDS
        try:
            handle = os.open(self._folder / owner, os.O_RDWR)
        except FileNotFoundError:
            return True
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        else:
            with suppress(FileNotFoundError):
                os.unlink(self._folder / owner)
            return True
        finally:
            os.close(handle)

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
