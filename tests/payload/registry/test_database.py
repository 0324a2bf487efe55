from __future__ import annotations

import sqlite3
import stat
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from payload.errors import RegistryError
from payload.records.record import Record
from payload.registry import Registry, schema
from payload.registry.database import connect, locate, transaction
from payload.registry.places import listed

RECORD = Record("123", "acme")


def set_version(url: str, version: int) -> None:
    with transaction(connect(locate(url), create=False), write=True) as connection:
        connection.execute(text("UPDATE wam_schema SET version = :version"), {"version": version})


def test_the_url_wins_over_the_environment_and_that_over_the_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.delenv("WAM_REGISTRY", raising=False)
    assert locate(None).database == str(tmp_path / "wam" / "registry.sqlite")
    monkeypatch.setenv("WAM_REGISTRY", str(tmp_path / "environment.sqlite"))
    assert locate(None).database == str(tmp_path / "environment.sqlite")
    assert locate("/given.sqlite").database == "/given.sqlite"


def test_the_default_place_is_made_when_it_is_first_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "new"))
    monkeypatch.delenv("WAM_REGISTRY", raising=False)
    entry = Registry.open().allocate(RECORD)
    assert (tmp_path / "new" / "wam" / "registry.sqlite").is_file()
    assert Registry.open(create=False).show(entry.link) == entry


def test_a_path_and_its_url_are_the_same_registry(tmp_path: Path) -> None:
    path = tmp_path / "with space.sqlite"
    entry = Registry.open(str(path)).allocate(RECORD)
    assert Registry.open(f"sqlite:///{path}").show(entry.link) == entry


def test_a_relative_path_stays_where_it_was(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    registry = Registry.open("registry.sqlite")
    monkeypatch.chdir("/")
    registry.allocate(RECORD)
    assert registry.name == str(tmp_path / "registry.sqlite")


def test_only_the_owner_can_read_a_new_file(tmp_path: Path) -> None:
    path = tmp_path / "registry.sqlite"
    Registry.open(str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_readers_go_on_while_another_writes(tmp_path: Path) -> None:
    registry = Registry.open(str(tmp_path / "registry.sqlite"))
    with transaction(connect(locate(str(tmp_path / "registry.sqlite")), create=False), write=True):
        assert len(registry.words()) == 0


def test_postgresql_urls_use_psycopg() -> None:
    for scheme in ("postgres", "postgresql", "postgresql+psycopg"):
        assert locate(f"{scheme}://me@host/name").drivername == "postgresql+psycopg"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://host/name", "expected sqlite or postgresql, found mysql"),
        ("sqlite://", "expected a file, found none"),
        ("sqlite:///:memory:", "expected a file, found none"),
        ("postgresql://host:port/name", "found a URL that cannot be read"),
        ("://", "found a URL that cannot be read"),
    ],
)
def test_urls_of_no_registry_are_refused(url: str, message: str) -> None:
    with pytest.raises(RegistryError, match=message):
        Registry.open(url)


def test_passwords_are_not_printed() -> None:
    with pytest.raises(RegistryError) as caught:
        Registry.open("mysql://me:secret@host/name")
    assert "secret" not in str(caught.value)


def test_a_missing_file_is_not_made_unasked(tmp_path: Path) -> None:
    path = tmp_path / "none.sqlite"
    with pytest.raises(RegistryError, match="expected a file, found none; run `wam registry init`"):
        Registry.open(str(path), create=False)
    assert not path.exists()


def test_an_empty_file_is_not_a_registry_unless_asked(tmp_path: Path) -> None:
    path = tmp_path / "empty.sqlite"
    path.touch()
    with pytest.raises(RegistryError, match="expected a registry, found none"):
        Registry.open(str(path), create=False)
    assert len(Registry.open(str(path)).words()) == 0


def test_another_file_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"not a database, " * 100)
    with pytest.raises(RegistryError, match="file is not a database") as caught:
        Registry.open(str(path))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RegistryError, match="choose another place with --registry"):
        Registry.open(str(tmp_path / "file" / "registry.sqlite"))
    with pytest.raises(RegistryError, match=r"registry .*: expected"):
        Registry.open(str(tmp_path))


def test_a_registry_that_broke_later_is_named(tmp_path: Path) -> None:
    path = tmp_path / "registry.sqlite"
    registry = Registry.open(str(path))
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE wam_entry")
    connection.close()
    with pytest.raises(RegistryError, match="no such table"):
        registry.words()


def test_an_unreachable_server_is_an_error_of_one_line(tmp_path: Path) -> None:
    pytest.importorskip("psycopg", reason='no PostgreSQL driver; pip install "psycopg[binary]"')
    with pytest.raises(RegistryError, match="expected to read and write it, found") as caught:
        Registry.open(f"postgresql://me:secret@/name?host={tmp_path}")
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_missing_driver_names_its_install_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(RegistryError, match=r'run pip install "psycopg\[binary\]"'):
        Registry.open("postgresql://me@host/name")


def test_a_newer_version_is_refused(registry: Registry, registry_url: str) -> None:
    set_version(registry_url, schema.SCHEMA_VERSION + 1)
    expected = f"version {schema.SCHEMA_VERSION} or older, found {schema.SCHEMA_VERSION + 1}; update wam"
    with pytest.raises(RegistryError, match=expected):
        Registry.open(registry_url)


@pytest.mark.parametrize(
    ("value", "places"),
    [
        ("a.db", ["a.db"]),
        ("a.db | b.db|", ["a.db", "b.db"]),
        ("C:\\marks\\a.db|D:\\b.db", ["C:\\marks\\a.db", "D:\\b.db"]),
        (
            "postgresql://me:a;b@host:5432/x?c=d|sqlite:///a.db",
            ["postgresql://me:a;b@host:5432/x?c=d", "sqlite:///a.db"],
        ),
        ("/with space:and;signs.db", ["/with space:and;signs.db"]),
        ("", [None]),
    ],
)
def test_the_environment_may_list_several(
    value: str, places: list[str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAM_REGISTRY", value)
    assert listed() == places and listed(["given.db"]) == ["given.db"]


def test_a_file_whose_name_looks_like_a_list_is_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    odd = tmp_path / "a|b.db"
    odd.touch()
    monkeypatch.setenv("WAM_REGISTRY", str(odd))
    assert listed() == [str(odd)] and locate(None).database == str(odd)


def test_a_list_of_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAM_REGISTRY", " | ")
    with pytest.raises(RegistryError, match=r"WAM_REGISTRY: expected registries with \| between"):
        listed()


def test_the_first_of_a_list_is_written_to_and_all_are_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WAM_REGISTRY", f"{tmp_path / 'a.db'} | {tmp_path / 'b.db'}")
    Registry.open().allocate(RECORD)
    assert (tmp_path / "a.db").exists() and not (tmp_path / "b.db").exists()
    with pytest.raises(RegistryError, match=r"b\.db: expected a file, found none"):
        Registry.open_listed()
    Registry.open(str(tmp_path / "b.db"))
    assert [registry.name for registry in Registry.open_listed()] == [str(tmp_path / name) for name in ("a.db", "b.db")]
