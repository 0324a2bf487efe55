"""Where the registry is, and transactions on it: SQLite files and PostgreSQL servers."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import platformdirs
from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from payload.errors import ImportFileError, RegistryError
from payload.registry import schema

ENVIRONMENT_VARIABLE = "WAM_REGISTRY"
BUSY_SECONDS = 30  # how long a write waits for other processes to finish theirs

_WRITE = "wam_write"
_DRIVERS = {
    "sqlite": "sqlite",
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}


def locate(url: str | None) -> URL:
    """Turn a URL, a file path or None into a database URL.

    None is the environment variable ``WAM_REGISTRY``, or else a file in the user's data directory.
    """
    chosen = url or os.environ.get(ENVIRONMENT_VARIABLE) or _default_path()
    if "://" not in chosen:
        return URL.create("sqlite", database=str(Path(chosen).expanduser().absolute()))
    try:
        parsed = make_url(chosen)
    except (ArgumentError, ValueError) as error:
        raise RegistryError(
            "registry: expected a file path or a URL like postgresql://user@host/name, "
            "found a URL that cannot be read; check its port and its quoting"
        ) from error
    shown = parsed.render_as_string(hide_password=True)
    if parsed.drivername not in _DRIVERS:
        raise RegistryError(
            f"registry {shown}: expected sqlite or postgresql, found {parsed.drivername}; "
            "use a file path or postgresql://user@host/name"
        )
    if parsed.drivername == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise RegistryError(f"registry {shown}: expected a file, found none; use sqlite:///PATH")
    return parsed.set(drivername=_DRIVERS[parsed.drivername])


def connect(url: URL, *, create: bool) -> Engine:
    """Make sure that a current registry is at the URL, created where allowed, and connect to it."""
    if url.drivername == "sqlite":
        _find_file(url, create=create)
        engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": BUSY_SECONDS})
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        try:
            engine = create_engine(url, poolclass=NullPool)
        except ImportError as error:
            raise RegistryError(
                f"registry {engine_name(url)}: expected the PostgreSQL driver psycopg, found none; "
                'run pip install "psycopg[binary]"'
            ) from error
    with transaction(engine) as connection:
        current = schema.is_current(connection)
    if not current:
        with transaction(engine, write=True) as connection:
            schema.prepare(connection, create=create)
    return engine


@contextmanager
def transaction(engine: Engine, *, write: bool = False) -> Iterator[Connection]:
    """Run statements all or nothing; a write waits until no other process writes (SQLite)."""
    try:
        connected = engine.connect().execution_options(**{_WRITE: write})
        with connected as connection, connection.begin():
            yield connection
    except SQLAlchemyError as error:
        cause = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise RegistryError(
            f"registry {engine_name(engine.url)}: expected to read and write it, found: {cause}; "
            "check that it is there and that you may use it"
        ) from error
    except ImportFileError:
        raise  # it names a file, and the registry where that matters
    except RegistryError as error:
        raise type(error)(f"registry {engine_name(engine.url)}: {error}") from error


def engine_name(url: URL) -> str:
    """Name a registry in messages: the file, or the URL without its password."""
    if url.drivername == "sqlite":
        return str(url.database)
    return url.render_as_string(hide_password=True)


def _default_path() -> str:
    """Name the registry file in the user's data directory."""
    return str(platformdirs.user_data_path("wam") / "registry.sqlite")


def _find_file(url: URL, *, create: bool) -> None:
    """Check that the SQLite file is there, or make an empty one that only its owner can read."""
    path = Path(str(url.database))
    if not create and not path.is_file():
        raise RegistryError(f"registry {path}: expected a file, found none; run `wam registry init` first")
    if not create:
        return  # a reader changes nothing: the file may be another's, or on a read-only disk
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600, exist_ok=True)
    except OSError as error:
        raise RegistryError(
            f"registry {path}: expected a file that can be written, found: {error.strerror}; "
            f"choose another place with --registry or {ENVIRONMENT_VARIABLE}"
        ) from error


def _configure_sqlite(connection: Any, _: Any) -> None:
    """Leave transactions to ``_begin_sqlite``; let readers go on while another process writes."""
    connection.isolation_level = None
    if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        with suppress(sqlite3.OperationalError):  # a read-only file stays as it is
            connection.execute("PRAGMA journal_mode = WAL")


def _begin_sqlite(connection: Connection) -> None:
    """Take the write lock at the start: taking it later fails if someone else wrote meanwhile."""
    write = connection.get_execution_options().get(_WRITE)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
