"""API keys: who holds one is a role. The file keeps a salted hash of each, never the key.

A key is 256 random bits, so that a quick hash is enough: there is nothing to be guessed that a slow one would protect.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import platformdirs

from payload.records.record import format_time, now
from wam.errors import WamError, show_name
from wam.pictures.atomic_write import save_atomically
from wam.service.roles import Role

try:
    import fcntl
except ImportError:  # Windows: two programs that change keys at once are left to their user
    fcntl = None  # type: ignore[assignment]

ENVIRONMENT_VARIABLE = "WAM_API_KEYS"
VERSION = 1
ID_BYTES, SECRET_BYTES, SALT_BYTES = 5, 32, 16
LONGEST_NAME = 64
_KEY = re.compile(r"wam_([0-9a-f]{10})_([A-Za-z0-9_-]{43})")


class ApiKeyError(WamError):
    """A file of keys that cannot be read, or a key that is not in it."""


@dataclass(frozen=True)
class ApiKey:
    """What is kept of one key: its public ``id``, who it is for, what it may, and the salted hash.

    ``owner``: the only one whose records it may write, None for any; ``rate``: requests a minute, None for the
    deployment's; ``revoked``: when, or None.
    """

    id: str
    name: str
    role: Role
    salt: str
    digest: str
    created: str
    owner: str | None = None
    rate: int | None = None
    revoked: str | None = None

    @property
    def client(self) -> str:
        """What its holder is called where clients are told apart."""
        return f"key {self.id}"

    def fits(self, secret: str) -> bool:
        """Whether this is the key's secret, in a time that tells nothing."""
        return hmac.compare_digest(_digest(self.salt, secret), self.digest)


def default_place() -> Path:
    """``$WAM_API_KEYS``, or a file in the user's data folder."""
    named = os.environ.get(ENVIRONMENT_VARIABLE)
    return Path(named) if named else platformdirs.user_data_path("wam") / "api-keys.json"


class KeyStore:
    """The keys of a file, which need not be there yet; what another process changes counts from the next request."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()
        self._seen: tuple[int, int, int] | None = None
        self._keys: dict[str, ApiKey] = {}

    def new(self, name: str, role: Role, *, owner: str | None = None, rate: int | None = None) -> tuple[str, ApiKey]:
        """A new key, which is to be shown once, and what is kept of it. Raises ``ApiKeyError``."""
        if role is Role.ANONYMOUS:
            raise ApiKeyError("role: expected marker, auditor or admin, found anonymous; that needs no key")
        if not 0 < len(name) <= LONGEST_NAME or not name.isprintable() or not name.strip():
            raise ApiKeyError(
                f"name: expected 1 to {LONGEST_NAME} printable characters, found {show_name(name)!r}; choose another"
            )
        if rate is not None and rate < 1:
            raise ApiKeyError(f"rate: expected 1 or more requests a minute, found {rate}; leave it out for the usual")
        salt, secret = secrets.token_hex(SALT_BYTES), secrets.token_urlsafe(SECRET_BYTES)
        made = ApiKey(
            secrets.token_hex(ID_BYTES), name, role, salt, _digest(salt, secret), format_time(now()), owner, rate
        )
        with self._changing() as keys:
            keys[made.id] = made
        return f"wam_{made.id}_{secret}", made

    def revoke(self, id: str) -> ApiKey:
        """Takes a key back for good. Raises ``ApiKeyError`` for one that is not there."""
        with self._changing() as keys:
            if id not in keys:
                raise ApiKeyError(f"{self.path}: expected a key {show_name(id)}, found none; see: wam serve keys list")
            if keys[id].revoked is None:
                keys[id] = replace(keys[id], revoked=format_time(now()))
            return keys[id]

    def list(self) -> tuple[ApiKey, ...]:
        """All that were ever made, oldest first."""
        with self._lock:
            return tuple(self._current().values())

    def check(self, text: str) -> ApiKey | None:
        """The key that a caller holds; None for one that was never made or was revoked. Raises ``ApiKeyError``."""
        match = _KEY.fullmatch(text)
        if match is None:
            return None
        with self._lock:
            key = self._current().get(match[1])
        return key if key is not None and key.fits(match[2]) and key.revoked is None else None

    def is_valid(self, client: str) -> bool:
        """Whether a client holds a key that is there and was not revoked. Raises ``ApiKeyError``."""
        with self._lock:
            return any(key.client == client and key.revoked is None for key in self._current().values())

    def _current(self) -> dict[str, ApiKey]:
        """The file's keys, read again where it has changed."""
        try:
            found = os.stat(self.path)
        except FileNotFoundError:
            self._seen, self._keys = None, {}
            return self._keys
        except OSError as error:
            raise _unreadable(self.path, error) from error
        stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
        if stamp != self._seen:
            self._keys = _read(self.path)
            self._seen = stamp
        return self._keys

    @contextmanager
    def _changing(self) -> Iterator[dict[str, ApiKey]]:
        """The keys to be changed, written whole afterwards; other processes wait."""
        with self._lock:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with open(self.path.with_name(f"{self.path.name}.lock"), "ab") as lock:
                    if fcntl is not None:
                        fcntl.flock(lock, fcntl.LOCK_EX)
                    keys = dict(self._current())
                    yield keys
                    content = {"version": VERSION, "keys": [asdict(key) for key in keys.values()]}
                    text = json.dumps(content, indent=1, ensure_ascii=True) + "\n"
                    save_atomically(self.path, lambda place: place.write_text(text, encoding="utf-8"), private=True)
            except OSError as error:
                raise _unreadable(self.path, error) from error


def _read(path: Path) -> dict[str, ApiKey]:
    """The keys of a file; a damaged one is an error, never an empty one."""
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        if content["version"] != VERSION:
            raise ValueError(f"version {content['version']}")
        keys = [ApiKey(**{**values, "role": Role(values["role"])}) for values in content["keys"]]
    except OSError as error:
        raise _unreadable(path, error) from error
    except (ValueError, KeyError, TypeError) as error:
        raise ApiKeyError(
            f"{path}: expected a file of API keys, found another or a damaged one ({error}); name another"
        ) from error
    return {key.id: key for key in keys}


def _unreadable(path: Path, error: OSError) -> ApiKeyError:
    return ApiKeyError(f"{path}: expected a file of API keys that can be used, found: {error.strerror}; check the name")


def _digest(salt: str, secret: str) -> str:
    return hmac.new(bytes.fromhex(salt), secret.encode(), hashlib.sha256).hexdigest()
