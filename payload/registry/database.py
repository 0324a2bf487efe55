"""Where the registry is, and transactions on it: SQLite files and PostgreSQL servers."""

from __future__ import annotations

import os
import re
import sqlite3
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DisconnectionError, SQLAlchemyError

from payload.errors import ImportFileError, RegistryError
from payload.registry import audit, schema, sqlite_writing
from payload.registry.places import ENVIRONMENT_VARIABLE, default_path, listed

BUSY_SECONDS = 30  # how long a write waits for other processes to finish theirs

_WRITE = "wam_write"
_WAIT = {"timeout": BUSY_SECONDS}
_SECRET = re.compile("pass|pwd|secret|token|key|cert", re.IGNORECASE)  # in a name of a URL's query
_DRIVERS = {
    "sqlite": "sqlite",
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}


def locate(url: str | None) -> URL:
    """Turn a URL, a file path or None into a database URL.

    None is the environment variable ``WAM_REGISTRY``, the first of those that it lists, or else a file in the user's
    data directory.
    """
    chosen = url or listed()[0] or str(default_path())
    if "://" not in chosen:
        return URL.create("sqlite", database=str(Path(chosen).expanduser().absolute()))
    try:
        parsed = make_url(chosen)
    except (ArgumentError, ValueError) as error:
        raise RegistryError(
            "registry: expected a file path or a URL like postgresql://user@host/name, "
            "found a URL that cannot be read; check its port and its quoting"
        ) from error
    shown = engine_name(parsed)
    if parsed.drivername not in _DRIVERS:
        raise RegistryError(
            f"registry {shown}: expected sqlite or postgresql, found {parsed.drivername}; "
            "use a file path or postgresql://user@host/name"
        )
    if parsed.drivername == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise RegistryError(f"registry {shown}: expected a file, found none; use sqlite:///PATH")
    return parsed.set(drivername=_DRIVERS[parsed.drivername])


def files_of(url: str | None) -> list[Path]:
    """The files that a registry in SQLite is or may have, none for a server."""
    place = locate(url)
    if place.drivername != "sqlite":
        return []
    return [Path(str(place.database) + ending) for ending in ("", "-wal", "-shm", "-journal")]


def connect(url: URL, *, create: bool) -> Engine:
    """Make sure that a current registry is at the URL, created where allowed, and connect to it."""
    if url.drivername == "sqlite":
        _find_file(url, create=create)
        read_only = not create and not os.access(Path(str(url.database)).parent, os.W_OK)
        engine = _read_only_engine(url) if read_only else create_engine(url, poolclass=NullPool, connect_args=_WAIT)
        event.listen(engine, "connect", _configure_new_sqlite if create else _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        try:
            engine = _pooled_engine(url)
        except ImportError as error:
            raise RegistryError(
                f"registry {engine_name(url)}: expected the PostgreSQL driver psycopg, found none; "
                'run pip install "psycopg[binary]"'
            ) from error
    with transaction(engine) as connection:
        version = schema.version_of(connection)
        if not create:
            schema.check_version(version)  # an older one is read as it is
    if create and version != schema.SCHEMA_VERSION:
        with transaction(engine, write=True) as connection:
            audit.prepare(connection, create=True)
    return engine


def _pooled_engine(url: URL) -> Engine:
    """Connects to a server, whose connections take longer to make than a look-up does; one that was lost meanwhile, or
    that belongs to the process that this one was forked from, is made anew."""
    engine = create_engine(url, pool_pre_ping=True)
    weakref.finalize(engine, engine.pool.dispose)  # closes them, rather than leave it to whoever collects them

    def made(_: Any, record: Any) -> None:
        record.info["process"] = os.getpid()

    def taken(_: Any, record: Any, proxy: Any) -> None:
        if record.info["process"] != os.getpid():
            record.dbapi_connection = proxy.dbapi_connection = None
            raise DisconnectionError("the connection belongs to another process")

    event.listen(engine, "connect", made)
    event.listen(engine, "checkout", taken)
    return engine


def _read_only_engine(url: URL) -> Engine:
    """Connects to a file in a folder that cannot be written, where SQLite has no room for its log: as to one that
    nobody changes, unless another user's processes keep a log there or have left one."""
    path = Path(str(url.database))
    log = path.with_name(path.name + "-wal")
    if not log.exists() or log.stat().st_size == 0:
        place = f"file:{quote(str(path))}?mode=ro&immutable=1"
    elif path.with_name(path.name + "-shm").exists():
        place = f"file:{quote(str(path))}?mode=ro"
    else:
        raise RegistryError(
            f"registry {path}: expected a folder that can be written, since {log.name} holds records that are not in "
            "the file yet, found a read-only one; copy both files to a folder that can be written"
        )
    return create_engine(
        url, poolclass=NullPool, creator=lambda: sqlite3.connect(place, uri=True, timeout=BUSY_SECONDS)
    )


@contextmanager
def transaction(engine: Engine, *, write: bool = False, snapshot: bool = False) -> Iterator[Connection]:
    """Run statements all or nothing; a write waits until no other process writes (SQLite). ``snapshot``: what others
    write meanwhile is not seen, as SQLite has it anyway."""
    try:
        connected = engine.connect().execution_options(**{_WRITE: write})
        if snapshot and engine.dialect.name == "postgresql":
            connected = connected.execution_options(isolation_level="REPEATABLE READ")
        with connected as connection, connection.begin():
            yield connection
    except (SQLAlchemyError, sqlite3.Error) as error:
        cause = _without_secrets(str(getattr(error, "orig", None) or error).strip().splitlines()[0], engine.url)
        raise RegistryError(
            f"registry {engine_name(engine.url)}: expected to read and write it, found: {cause}; "
            "check that it is there and that you may use it"
        ) from error
    except ImportFileError:
        raise  # it names a file, and the registry where that matters
    except RegistryError as error:
        raise type(error)(f"registry {engine_name(engine.url)}: {error}") from error


def write_anew(engine: Engine, *, seconds: float = BUSY_SECONDS) -> None:
    """Writes an SQLite file anew, so that no page of it holds what was erased, nor the log beside it; waits so many
    seconds for others who read it."""
    found: object = "others who read it"
    try:
        with engine.connect() as connection:
            driver = connection.connection.driver_connection  # outside of a transaction, which VACUUM needs
            assert driver is not None
            driver.execute(f"PRAGMA busy_timeout = {round(1000 * seconds)}")
            driver.execute("VACUUM")
            (busy, *_) = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if not busy:
                return
    except (SQLAlchemyError, sqlite3.Error) as error:
        found = getattr(error, "orig", None) or error
    raise RegistryError(
        f"registry {engine_name(engine.url)}: the records are erased, but its files may still hold them: expected to "
        f"write it anew, found: {found}; run VACUUM and PRAGMA wal_checkpoint(TRUNCATE) on it when nobody uses it"
    )


def engine_name(url: URL) -> str:
    """Name a registry in messages: the file, or the URL without its passwords, those of its query too."""
    if url.drivername == "sqlite":
        return str(url.database)
    secrets = {name: "***" for name in url.query if _SECRET.search(name)}
    return url.update_query_dict(secrets).render_as_string(hide_password=True).replace(quote("***", safe=""), "***")


def _without_secrets(text: str, url: URL) -> str:
    """A driver's message without the passwords that it may repeat."""
    in_query = (value for name, value in url.query.items() if _SECRET.search(name))
    for secret in (url.password, *in_query):
        for one in [secret] if isinstance(secret, str) else secret or ():
            text = text.replace(one, "***") if one else text
    return text


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
    """Leave transactions to ``_begin_sqlite``."""
    connection.isolation_level = None


def _configure_new_sqlite(connection: Any, record: Any) -> None:
    """The same, and let readers go on while another process writes."""
    _configure_sqlite(connection, record)
    if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        with suppress(sqlite3.OperationalError):  # a read-only file stays as it is
            connection.execute("PRAGMA journal_mode = WAL")


def _begin_sqlite(connection: Connection) -> None:
    """Take the write lock at the start: taking it later fails if someone else wrote meanwhile."""
    if not connection.get_execution_options().get(_WRITE):
        connection.exec_driver_sql("BEGIN")
        return
    driver = connection.connection.driver_connection
    assert driver is not None
    sqlite_writing.begin(driver, Path(str(connection.engine.url.database)), seconds=BUSY_SECONDS)
