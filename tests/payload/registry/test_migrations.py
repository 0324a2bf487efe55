"""Registries of earlier versions: read as they are, migrated when they are first written to."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, inspect, text

import payload
from payload.errors import RegistryError
from payload.records.record import Record
from payload.registry import Registry, audit, schema
from payload.registry.database import connect, locate, transaction
from payload.registry.entry import word_of
from payload.registry.generations import Giving
from payload.registry.migrating import migrate

SHIPPED = Path(payload.__file__).parents[1] / "tests" / "data" / "0.2.0" / "registry.sqlite"
RECORD = Record("new", "acme")
SECRET = bytes(range(16))

ALLOCATE = """
import sys
from payload.records.record import Record
from payload.registry import Registry
print(*[Registry.open(sys.argv[1], create=False).allocate(Record(str(n), "acme")).word for n in range(5)])
"""
DIE = """
import os, signal, sys
from payload.registry import audit
from payload.registry.database import connect, locate, transaction
with transaction(connect(locate(sys.argv[1]), create=False), write=True) as connection:
    audit.prepare(connection, create=False)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def program(code: str, *arguments: str) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, env=environment, text=True
    )


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    """A copy of the registry that 0.2.0 left."""
    path = tmp_path / "shipped.sqlite"
    shutil.copy(SHIPPED, path)
    return path


@pytest.fixture
def first(registry_url: str, tmp_path: Path) -> str:
    """A registry with the tables of 0.2.0 and three entries, once for each kind of database."""
    url = locate(registry_url)
    if url.drivername == "sqlite":
        Path(str(url.database)).touch()
    engine = connect_to_nothing(registry_url)
    with transaction(engine, write=True) as connection:
        migrate(connection, found=0, to="0001")
        connection.execute(text(f"DROP TABLE {schema.REVISION_TABLE}"))  # which 0.2.0 did not have
        connection.execute(text("INSERT INTO wam_registry VALUES (:secret, 3)"), {"secret": SECRET.hex()})
        for serial in range(3):
            values = {"serial": serial, "word": word_of(SECRET, serial), "asset": f"a{serial}"}
            connection.execute(
                text(
                    "INSERT INTO wam_entry VALUES (:serial, :word, 'marked', :asset, 'acme', NULL, "
                    "'2026-01-02T03:04:05Z', 'e8ed891652ad136e', 'a.jpg', '2026-01-02T03:04:06Z')"
                ),
                values,
            )
    return registry_url


def connect_to_nothing(url: str) -> Any:
    """An engine for a place where no registry is yet."""
    from sqlalchemy import NullPool, create_engine

    return create_engine(locate(url), poolclass=NullPool)


def tables(connection: Connection) -> dict[str, Any]:
    """What there is of tables, without the order of columns."""
    found = inspect(connection)
    return {
        name: (
            {column["name"]: (str(column["type"]), column["nullable"]) for column in found.get_columns(name)},
            sorted((index["name"] or "", index["column_names"]) for index in found.get_indexes(name)),
            sorted((one["name"] or "", one["column_names"]) for one in found.get_unique_constraints(name)),
            found.get_pk_constraint(name)["constrained_columns"],
        )
        for name in found.get_table_names()
    }


def test_looking_things_up_leaves_a_shipped_registry_as_it_is(shipped: Path) -> None:
    before = shipped.read_bytes()
    registry = Registry.open(str(shipped), create=False)
    entries = [*registry.entries()]
    assert [(entry.record.asset, entry.state) for entry in entries] == [
        ("a", "marked"), ("b", "marked"), ("keyed", "marked"), ("gone", "withdrawn"),
    ]  # fmt: skip
    assert {(entry.generation, entry.scheme, entry.source) for entry in entries} == {(0, "word-21", None)}
    assert registry.show(entries[1].link) == registry.find(entries[1].word) == entries[1]
    assert sorted(registry.words().tolist()) == sorted(entry.word for entry in entries[:3])
    assert registry.export(io.StringIO()) == registry.statistics().allocated == 4
    assert [*registry.audit()] == []
    assert len(registry.namespace) == 8
    assert shipped.read_bytes() == before


def test_the_first_write_migrates_a_shipped_registry(shipped: Path, tmp_path: Path) -> None:
    old = Registry.open(str(shipped), create=False)
    entries, namespace = [*old.entries()], old.namespace
    text_then = io.StringIO()
    old.export(text_then)
    new = Registry.open(str(shipped), create=False).allocate(RECORD)
    assert new.word not in {entry.word for entry in entries} and new.serial == 4
    assert [*old.entries()] == [*entries, new]  # opened before, and still right
    assert old.namespace == namespace
    events = [(line.event, line.serial, line.count) for line in old.audit()]
    assert events == [("migrated", 0, 4), ("allocated", 4, 1)]
    assert old.verify_audit().problem is None
    with transaction(connect(locate(str(shipped)), create=False)) as connection:
        migrated = tables(connection)
    made = tmp_path / "made.sqlite"
    Registry.open(str(made))
    with transaction(connect(locate(str(made)), create=False)) as connection:
        assert migrated == tables(connection)


def test_a_migration_gives_the_tables_of_a_new_registry(first: str, tmp_path: Path, request: Any) -> None:
    before = [*Registry.open(first, create=False).entries()]
    assert [entry.record.asset for entry in before] == ["a0", "a1", "a2"]
    registry = Registry.open(first)  # as who is going to write opens it
    assert [*registry.entries()] == before
    engine = connect(locate(first), create=False)
    with transaction(engine) as connection:
        migrated = tables(connection)
    with transaction(engine, write=True) as connection:
        schema.metadata.drop_all(connection)
    Registry.open(first)
    with transaction(engine) as connection:
        assert migrated == tables(connection)


def test_the_tables_that_migrations_start_from_are_those_that_were_shipped(shipped: Path, tmp_path: Path) -> None:
    made = tmp_path / "made.sqlite"
    with transaction(connect_to_nothing(str(made)), write=True) as connection:
        migrate(connection, found=0, to="0001")
        connection.execute(text(f"DROP TABLE {schema.REVISION_TABLE}"))
        first = tables(connection)
    with transaction(connect(locate(str(shipped)), create=False)) as connection:
        assert tables(connection) == first


def test_a_migration_that_fails_changes_nothing(first: str) -> None:
    engine = connect(locate(first), create=False)
    with transaction(engine, write=True) as connection:
        connection.execute(text("CREATE TABLE wam_audit (number INTEGER)"))  # in the way of the last step
    with transaction(engine) as connection:
        before = tables(connection)
    registry = Registry.open(first, create=False)
    with pytest.raises(RegistryError, match="already exists") as caught:
        registry.allocate(RECORD)
    assert "\n" not in str(caught.value)
    with transaction(engine) as connection:
        assert tables(connection) == before and schema.version_of(connection) == 1
    assert [entry.record.asset for entry in registry.entries()] == ["a0", "a1", "a2"]


def test_a_process_that_dies_at_it_leaves_the_registry_as_it_was(first: str) -> None:
    before = [*Registry.open(first, create=False).entries()]
    died = program(DIE, first)
    died.communicate(timeout=60)
    assert died.returncode == -signal.SIGKILL
    with transaction(connect(locate(first), create=False)) as connection:
        assert schema.version_of(connection) == 1
    registry = Registry.open(first, create=False)
    assert [*registry.entries()] == before
    assert registry.allocate(RECORD).serial == 3


def test_processes_that_write_at_once_migrate_once(first: str) -> None:
    started = [program(ALLOCATE, first) for _ in range(3)]
    words = [word for process in started for word in process.communicate(timeout=60)[0].split()]
    assert [process.returncode for process in started] == [0] * 3
    assert len(words) == len(set(words)) == 15
    registry = Registry.open(first, create=False)
    assert [line.event for line in registry.audit()] == ["migrated"] + ["allocated"] * 15
    assert registry.statistics().allocated == 18 and registry.verify_audit().problem is None


def test_without_alembic_an_old_registry_is_read_and_not_written(
    shipped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("alembic", "alembic.config"):
        monkeypatch.setitem(sys.modules, name, None)
    registry = Registry.open(str(shipped), create=False)
    assert len([*registry.entries()]) == 4
    with pytest.raises(RegistryError, match=r"expected the package alembic, which .*; run pip install alembic"):
        registry.allocate(RECORD)
    assert Registry.open(str(shipped.with_name("new.sqlite"))).allocate(RECORD).serial == 0


def test_an_old_export_and_a_new_one_are_of_the_same_registry(shipped: Path, tmp_path: Path) -> None:
    old_export = SHIPPED.with_name("export.jsonl").read_text()
    assert json.loads(old_export.splitlines()[0])["version"] == 1
    restored = Registry.open(str(tmp_path / "restored.sqlite"))
    assert restored.import_(io.StringIO(old_export)) == 4
    original = Registry.open(str(shipped))
    assert restored.namespace == original.namespace
    assert [*restored.entries()] == [*original.entries()]
    added = original.allocate(RECORD)
    stream = io.StringIO()
    original.export(stream)
    assert json.loads(stream.getvalue().splitlines()[0])["version"] == 4
    stream.seek(0)
    assert restored.import_(stream) == 1 and restored.show(added.link) == added
    assert original.import_(io.StringIO(old_export)) == 0  # what 0.2.0 wrote is still taken for the same


def test_a_registry_of_version_2_gives_out_plain_words_until_it_is_told_otherwise(first: str) -> None:
    with transaction(connect_to_nothing(first), write=True) as connection:
        migrate(connection, found=1, to="0002")
    registry = Registry.open(first, create=False)
    entries = [*registry.entries()]
    assert registry.giving == Giving() and registry.find(entries[1].word, generation=1) is None
    assert sorted(registry.words().tolist()) == sorted(entry.word for entry in entries)
    assert registry.words(labelled=0).tolist() == [] and registry.statistics().scheme == "plain"
    with transaction(connect_to_nothing(first)) as connection:
        assert schema.version_of(connection) == 2  # reading left it as it was
    assert registry.give("labelled").labelled == range(1)
    assert registry.allocate(RECORD).labelled and [*registry.entries()][:3] == entries
    assert registry.verify_audit().problem is None


def test_a_registry_of_version_4_gets_fingerprints_when_it_is_first_written_to(first: str) -> None:
    with transaction(connect_to_nothing(first), write=True) as connection:
        migrate(connection, found=1, to="0004")
        connection.execute(text("UPDATE wam_entry SET sketch = '2x2:oA=='"))
    registry = Registry.open(first, create=False)
    entries = [*registry.entries()]
    assert [(entry.sketch, entry.pdq) for entry in entries] == [("2x2:oA==", None)] * 3
    assert registry.similar([7], most=5) == [] and registry.fingerprints == 0
    with transaction(connect_to_nothing(first)) as connection:
        assert schema.version_of(connection) == 4  # reading left it as it was
    marked = registry.confirm(entries[1].word, pdq=7, again=True)
    assert [one.entry for one in registry.similar([7], most=5)] == [marked]
    assert [*registry.entries()] == [entries[0], marked, entries[2]]
    assert registry.verify_audit().problem is None


def test_every_version_has_a_revision() -> None:
    found = sorted(path.name for path in (Path(audit.__file__).parent / "migrations" / "versions").glob("v*.py"))
    assert [int(name[1:5]) for name in found] == list(range(1, schema.SCHEMA_VERSION + 1))
