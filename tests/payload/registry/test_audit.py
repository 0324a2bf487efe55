"""The audit log: what it tells, and what it notices."""

from __future__ import annotations

import hashlib
import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from payload.errors import RegistryError
from payload.records.record import Record
from payload.registry import Registry
from payload.registry.database import connect, locate, transaction, write_anew
from payload.registry.reservations import Wanted

RECORD = Record("123", "acme", "u-1", datetime(2026, 1, 2, tzinfo=UTC))


def change(url: str, statement: str) -> None:
    """What somebody does behind the registry's back."""
    with transaction(connect(locate(url), create=False), write=True) as connection:
        assert connection.execute(text(statement)).rowcount


@pytest.fixture
def filled(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """A registry in which each thing was done once."""
    monkeypatch.setenv("WAM_ACTOR", "ana@desk")
    first, second, third = (one.entry for one in registry.reserve([Wanted(RECORD)] * 3))
    registry.confirm(first.word, phash=1, output="a.png")
    registry.discard(second.word)
    monkeypatch.setenv("WAM_ACTOR", "zoë\n@desk")
    registry.withdraw(third.link)
    registry.log_look_up(first.word)
    return registry


def test_every_change_is_a_line_with_its_actor(filled: Registry) -> None:
    lines = [*filled.audit()]
    assert [(line.event, line.serial, line.count) for line in lines] == [
        ("created", None, 0), ("allocated", 0, 3), ("marked", 0, 1), ("discarded", 1, 1), ("withdrawn", 2, 1),
        ("looked-up", 0, 1),
    ]  # fmt: skip
    assert [line.number for line in lines] == [1, 2, 3, 4, 5, 6]
    assert [line.actor for line in lines[1:]] == ["ana@desk"] * 3 + ["zoë?@desk"] * 2
    assert "@" in lines[0].actor and lines[1].digest and not lines[2].digest
    report = filled.verify_audit()
    assert (report.lines, report.head, report.problem) == (6, lines[-1].hash, None)
    assert not {"acme", "u-1", "123", "a.png"} & {str(value) for line in lines for value in line.to_dict().values()}


def test_the_chain_is_as_documented(filled: Registry) -> None:
    before = ""
    for line in filled.audit():
        values = [before, line.number, line.at, line.actor, line.event, line.serial, line.count, line.digest]
        before = hashlib.sha256(json.dumps(values, separators=(",", ":")).encode()).hexdigest()
        assert line.hash == before


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("UPDATE wam_audit SET actor = 'nobody' WHERE number = 3", "line 3: expected the hash of its content"),
        ("UPDATE wam_audit SET serial = 2 WHERE number = 3", "line 3: expected the hash of its content"),
        ("DELETE FROM wam_audit WHERE number = 4", "line 4: expected it, found line 5"),
        ("DELETE FROM wam_audit WHERE number = 6", "line 6: expected it to be the last, found 5 lines"),
        ("DELETE FROM wam_audit", "line 6: expected it to be the last, found 0 lines"),
        ("UPDATE wam_entry SET \"user\" = 'u-2' WHERE serial = 1", "line 2: expected the records of serials 0 to 2"),
        ("UPDATE wam_entry SET ingested_at = '2020-01-01T00:00:00Z' WHERE serial = 0", "line 2: expected the records"),
        ("DELETE FROM wam_entry WHERE serial = 2", "line 2: expected the records of serials 0 to 2"),
        ("UPDATE wam_audit SET digest = NULL WHERE number = 2", "line 2: expected the hash of its content"),
    ],
)
def test_what_is_cut_or_changed_is_noticed(filled: Registry, registry_url: str, statement: str, problem: str) -> None:
    change(registry_url, statement)
    assert (filled.verify_audit().problem or "").startswith(problem)


def test_a_chain_that_was_made_anew_lacks_an_earlier_head(filled: Registry, tmp_path: Path) -> None:
    head = filled.verify_audit().head
    filled.allocate(RECORD)
    assert filled.verify_audit(head=head).problem is None
    other = Registry.open(str(tmp_path / "other.sqlite"))
    stream = io.StringIO()
    filled.export(stream)
    stream.seek(0)
    other.import_(stream)
    assert [(line.event, line.serial, line.count) for line in other.audit()] == [
        ("created", None, 0), ("imported", 0, 4),
    ]  # fmt: skip
    assert other.verify_audit().problem is None
    assert other.verify_audit(head=head).problem == f"expected a line with the hash {head}, found none"


def test_what_fails_leaves_no_line(filled: Registry) -> None:
    before = [*filled.audit()]
    (entry,) = filled.entries(state="marked")
    with pytest.raises(RegistryError):
        filled.confirm(entry.word)
    assert [*filled.audit()] == before


class TestErase:
    USER = "u-very-private"

    @pytest.fixture
    def told(self, registry: Registry) -> Registry:
        """Records of two users, some reserved together."""
        records = [Record(f"asset-of-{user}", "acme", user, RECORD.ingested_at) for user in (self.USER, "u-2")]
        both = registry.reserve([Wanted(record, f"{n:064x}") for n, record in enumerate(records)])
        for one in both:
            registry.confirm(one.entry.word, phash=7, output=f"{one.entry.record.user}.png")
        registry.allocate(records[0])
        registry.allocate(records[1])
        return registry

    def test_nothing_is_left_but_the_id(self, told: Registry) -> None:
        before = [*told.entries()]
        assert told.erase(self.USER) == 2
        after = [*told.entries()]
        assert [entry.state for entry in after] == ["erased", "marked", "erased", "pending"]
        assert [entry.word for entry in after] == [entry.word for entry in before]
        assert [after[1], after[3]] == [before[1], before[3]]
        gone = after[0]
        assert (gone.record.asset, gone.record.owner, gone.record.user) == ("erased", "erased", None)
        assert (gone.phash, gone.output, gone.source) == (None, None, None)
        assert sorted(told.words().tolist()) == sorted([after[1].word, after[3].word])
        stream = io.StringIO()
        told.export(stream)
        assert self.USER not in stream.getvalue()
        assert told.erase(self.USER) == 0

    def test_the_id_is_blocked_for_ever(self, told: Registry) -> None:
        first = next(told.entries())
        told.erase(self.USER)
        with pytest.raises(RegistryError, match="found it erased"):
            told.withdraw(first.link)
        with pytest.raises(RegistryError, match="found it erased"):
            told.confirm(first.word, again=True)
        (again,) = told.reserve([Wanted(first.record, first.source)])
        assert not again.reused and again.entry.word != first.word

    def test_the_chain_stays_whole_and_vouches_for_the_others(self, told: Registry, registry_url: str) -> None:
        head = told.verify_audit().head
        told.erase(self.USER)
        assert [line.event for line in told.audit()][-2:] == ["erased"] * 2
        assert told.verify_audit(head=head).problem is None
        change(registry_url, "UPDATE wam_entry SET asset = 'another' WHERE serial = 3")
        assert "serials 3 to 3" in (told.verify_audit().problem or "")

    def test_an_older_export_does_not_bring_it_back(self, told: Registry) -> None:
        stream = io.StringIO()
        told.export(stream)
        told.erase(self.USER)
        stream.seek(0)
        with pytest.raises(RegistryError, match="expected the entry that is already here, found another"):
            told.import_(stream)
        assert not [*told.entries(user=self.USER)]

    def test_the_erased_registry_is_exported_and_imported(self, told: Registry, tmp_path: Path) -> None:
        told.erase(self.USER)
        stream = io.StringIO()
        told.export(stream)
        stream.seek(0)
        copy = Registry.open(str(tmp_path / "copy.sqlite"))
        assert copy.import_(stream) == 4 and [*copy.entries()] == [*told.entries()]

    def test_the_file_holds_nothing_of_it(self, tmp_path: Path) -> None:
        registry = Registry.open(str(tmp_path / "registry.sqlite"))
        wanted = [Wanted(Record(f"{self.USER}-{n}", self.USER, self.USER), None) for n in range(300)]
        registry.reserve(wanted)
        registry.allocate(RECORD)

        def content() -> bytes:
            return b"".join(path.read_bytes() for path in tmp_path.iterdir())

        assert self.USER.encode() in content()
        registry.erase(self.USER)
        assert self.USER.encode() not in content()
        assert b"acme" in content() and registry.verify_audit().problem is None

    def test_somebody_who_reads_may_keep_the_old_pages_and_that_is_said(self, tmp_path: Path) -> None:
        path = tmp_path / "registry.sqlite"
        registry = Registry.open(str(path))
        registry.allocate(Record("1", "acme", self.USER))
        engine = connect(locate(str(path)), create=False)
        with transaction(engine) as reading:
            reading.execute(text("SELECT * FROM wam_entry")).fetchall()
            registry.allocate(RECORD)
            with pytest.raises(RegistryError, match="are erased, but its files may still hold them"):
                write_anew(engine, seconds=0.1)
        write_anew(engine, seconds=0.1)
