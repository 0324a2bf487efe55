"""Registries to test on (a fresh SQLite file, a fresh PostgreSQL database), and logits."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from sqlalchemy import NullPool, create_engine, text

from payload.layout import bits_from_word
from payload.registry import Registry

settings.register_profile("payload", max_examples=60, deadline=None, derandomize=True, database=None)
settings.load_profile("payload")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """Start a PostgreSQL server in a directory of its own; gives the directory of its socket."""
    binaries = _postgres_binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL server (pg_ctl) in PATH or /usr/lib/postgresql")
    if find_spec("psycopg") is None:
        pytest.skip('no PostgreSQL driver; pip install "psycopg[binary]"')
    account = _unprivileged_account()
    with tempfile.TemporaryDirectory(prefix="wam-pg-") as name:
        if account:
            shutil.chown(name, account["user"])
        data = f"{name}/data"
        _run(binaries / "initdb", "-D", data, "-U", "wam", "-A", "trust", "--no-sync", **account)
        # registries keep their connections until they are collected, and a worker runs many tests on one server
        options = f"-c listen_addresses= -c unix_socket_directories={name} -c fsync=off -c max_connections=600"
        control = binaries / "pg_ctl"
        _run(control, "-D", data, "-w", "-o", options, "-l", f"{name}/log", "start", **account)
        yield name
        _run(control, "-D", data, "-m", "immediate", "stop", **account)


@pytest.fixture(params=["sqlite", "postgresql"])
def registry_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Name an empty place for a registry, once for each kind of database."""
    if request.param == "sqlite":
        return str(tmp_path / "registry.sqlite")
    server = request.getfixturevalue("postgres_server")
    database = f"registry_{uuid.uuid4().hex}"
    admin = create_engine(
        f"postgresql+psycopg://wam@/postgres?host={server}",
        isolation_level="AUTOCOMMIT",
        poolclass=NullPool,
    )
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {database}"))
    return f"postgresql://wam@/{database}?host={server}"


@pytest.fixture
def registry(registry_url: str) -> Registry:
    """Open a new registry, once for each kind of database."""
    return Registry.open(registry_url)


@pytest.fixture(scope="session")
def logits_of() -> Callable[..., np.ndarray]:
    """Give logits of 3 with the signs of a word; `wrong` maps wrong bits to their magnitude."""

    def make(word: int, *, wrong: dict[int, float] | None = None) -> np.ndarray:
        logits = np.where([bit == "1" for bit in bits_from_word(word)], 3.0, -3.0)
        for position, magnitude in (wrong or {}).items():
            logits[position] = -np.sign(logits[position]) * magnitude
        return logits

    return make


def _postgres_binaries() -> Path | None:
    """Find the directory of initdb and pg_ctl."""
    folders = [*os.environ.get("PATH", "").split(os.pathsep)]
    folders += sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)
    for folder in map(Path, folders):
        if all((folder / name).is_file() for name in ("initdb", "pg_ctl", "postgres")):
            return folder
    return None


def _unprivileged_account() -> dict[str, Any]:
    """Name the account to run the server as; PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    try:
        pwd.getpwnam("postgres")
    except KeyError:
        pytest.skip("PostgreSQL does not run as root, and there is no postgres account")
    return {"user": "postgres", "group": "postgres", "extra_groups": []}


def _run(program: Path, *arguments: str, **account: Any) -> None:
    """Run one of the server's programs and fail with what it says."""
    done = subprocess.run(
        [program, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd="/",
        timeout=60,
        check=False,
        **account,
    )
    assert done.returncode == 0, done.stderr.decode()
