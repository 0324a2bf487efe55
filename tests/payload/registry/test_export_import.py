from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from payload.errors import ImportFileError
from payload.records.record import Record
from payload.registry import Registry
from payload.registry.entry import Entry, word_of
from payload.registry.export_import import Header, check_lines, write_lines

RECORD = Record("123", "acme", "ünï ✓")


def exported(registry: Registry) -> str:
    stream = io.StringIO()
    registry.export(stream)
    return stream.getvalue()


def filled(url: str) -> Registry:
    """A registry with an entry in each state."""
    registry = Registry.open(url)
    marked, withdrawn, discarded, _ = (registry.allocate(RECORD) for _ in range(4))
    registry.confirm(marked.word, phash=0xFEDC, output="marked.png")
    registry.withdraw(withdrawn.link)
    registry.discard(discarded.word)
    return registry


def edited(text: str, line: int, **changes: object) -> str:
    lines = text.splitlines()
    lines[line - 1] = json.dumps(json.loads(lines[line - 1]) | changes)
    return "\n".join(lines) + "\n"


@pytest.fixture
def source(tmp_path: Path) -> Registry:
    return filled(str(tmp_path / "source.sqlite"))


def test_an_import_gives_the_same_entries_and_the_same_next_ids(source: Registry, registry: Registry) -> None:
    assert registry.import_(io.StringIO(exported(source))) == 4
    assert [*registry.entries()] == [*source.entries()]
    assert exported(registry) == exported(source)
    assert registry.allocate(RECORD).word == source.allocate(RECORD).word


def test_a_line_has_the_fields_of_the_contract(source: Registry) -> None:
    header, first, *_ = map(json.loads, exported(source).splitlines())
    assert header.keys() == {"format", "version", "secret", "namespace", "count"}
    assert first["link"].startswith("wm:")
    assert (first["state"], first["phash"]) == ("marked", "000000000000fedc")
    assert first["record"] == RECORD.to_dict()


def test_a_registry_takes_back_what_it_lacks(registry: Registry, source: Registry) -> None:
    registry.import_(io.StringIO(exported(source)))
    added = source.allocate(RECORD)
    assert registry.import_(io.StringIO(exported(source))) == 1
    assert registry.show(added.link) == added
    assert registry.import_(io.StringIO(exported(source))) == 0


@pytest.mark.parametrize("count", [1000, 2500])
def test_long_registries_come_and_go_without_gaps(registry: Registry, count: int) -> None:
    """Entries are read and written a thousand at a time."""
    secret = bytes(range(16))
    entries = [Entry(serial, word_of(secret, serial), RECORD) for serial in range(count)]
    text = "".join(write_lines(Header(secret, count), entries))
    assert registry.import_(io.StringIO(text)) == count
    assert exported(registry) == text
    assert [*registry.entries()] == entries


def test_an_older_export_takes_nothing_away(source: Registry) -> None:
    before = exported(source)
    source.allocate(RECORD)
    after = exported(source)
    assert source.import_(io.StringIO(before)) == 0
    assert exported(source) == after


def test_the_export_of_another_registry_is_refused(source: Registry, registry: Registry) -> None:
    registry.allocate(RECORD)
    before = exported(registry)
    with pytest.raises(ImportFileError, match=r"^import: line 1: .* found one of another; import it into a new"):
        registry.import_(io.StringIO(exported(source)))
    assert exported(registry) == before


def test_entries_that_went_apart_are_refused(registry: Registry, source: Registry) -> None:
    registry.import_(io.StringIO(exported(source)))
    entry = next(registry.entries(state="marked"))
    registry.withdraw(entry.link)
    source.allocate(RECORD)
    before = exported(registry)
    with pytest.raises(ImportFileError, match=rf"^all\.jsonl: line 2: link {entry.link}: expected the entry that "):
        registry.import_(io.StringIO(exported(source)), name="all.jsonl")
    assert exported(registry) == before


Damage = Callable[[str], str]
DAMAGES: dict[str, tuple[Damage, str]] = {
    "empty": (lambda text: "", "line 1: expected JSON"),
    "another file": (lambda text: '{"a": 1}\n', "expected a header"),
    "newer": (lambda text: edited(text, 1, version=5), "expected version 4 or older, found 5; update wam"),
    "short secret": (lambda text: edited(text, 1, secret="00"), "a secret of 16 bytes"),
    "no secret": (lambda text: edited(text, 1, secret=None), "expected a secret and a count"),
    "count as text": (lambda text: edited(text, 1, count="4"), "a count up to"),
    "cut off": (lambda text: "\n".join(text.splitlines()[:-1]), "line 4: expected 4 entries up to the end, found 3"),
    "cut in a line": (lambda text: text[:-30], "line 5: expected JSON"),
    "line lost": (
        lambda text: "".join(text.splitlines(keepends=True)[:2] + text.splitlines(True)[3:]),
        "line 3: expected serial 1, found 2",
    ),
    "other link": (lambda text: edited(text, 3, link="wm:1X1Q-M7XX"), "line 3: expected the link"),
    "too many": (lambda text: edited(text, 1, count=3), "line 5: expected the link"),
    "unknown state": (lambda text: edited(text, 2, state="lost"), "line 2: expected a state"),
    "other keys": (lambda text: edited(text, 2, more=1), "line 2: expected the keys"),
    "bad hash": (lambda text: edited(text, 2, phash="12"), "line 2: expected 16 hexadecimal"),
    "bad output": (lambda text: edited(text, 2, output=5), "line 2: expected a whole serial"),
    "bad serial": (lambda text: edited(text, 2, serial=0.0), "line 2: expected a whole serial"),
    "bad record": (lambda text: edited(text, 2, record={}), "line 2: record: expected the keys"),
    "other bytes": (lambda text: text.replace("✓", "\udcff", 1), "line 2: expected text in UTF-8"),
    "true as a version": (lambda text: edited(text, 1, version=True), "expected version 4 or older, found True"),
    "true as a serial": (lambda text: edited(text, 3, serial=True), "line 3: expected a whole serial"),
    "blanks in the secret": (
        lambda text: edited(text, 1, secret=json.loads(text.splitlines()[0])["secret"].upper() + " "),
        "a secret and a count",
    ),
    "signed hash": (lambda text: edited(text, 2, phash="+00000000000fedc"), "line 2: expected 16 hexadecimal"),
    "hash with lines": (lambda text: edited(text, 2, phash="0000_0000000fedc"), "line 2: expected 16 hexadecimal"),
    "hash in capitals": (lambda text: edited(text, 2, phash="000000000000FEDC"), "line 2: expected 16 hexadecimal"),
    "hash in other digits": (lambda text: edited(text, 2, phash="٠" * 16), "line 2: expected 16 hexadecimal"),
    "surrogate in an output": (lambda text: edited(text, 2, output="\ud800"), "line 2: output: expected text"),
    "null in an output": (lambda text: edited(text, 2, output="a\0b"), "line 2: output: expected text"),
    "surrogate in a record": (
        lambda text: edited(text, 2, record=RECORD.to_dict() | {"user": "\ud800"}),
        "line 2: user: expected no control",
    ),
    "null in a record": (
        lambda text: edited(text, 2, record=RECORD.to_dict() | {"asset": "a\0"}),
        "line 2: asset: expected no control",
    ),
    "number as an owner": (
        lambda text: edited(text, 2, record=RECORD.to_dict() | {"owner": 5}),
        "line 2: owner: expected text",
    ),
    "list as a state": (lambda text: edited(text, 2, state=["marked"]), "line 2: expected a state"),
    "link as typed": (lambda text: text.replace('"wm:', '"', 1), "line 2: link: expected 'wm:"),
    "time with an offset": (
        lambda text: edited(text, 2, updated_at="2026-11-22T10:30:00+01:00"),
        "line 2: updated_at: expected '2026-11-22T09:30:00Z'",
    ),
    "deep": (lambda text: text.replace("null", "[" * 100_000, 1), "lists in lists without end"),
    "deep header": (lambda text: "[" * 100_000 + text, "line 1: expected an entry, found lists in lists"),
    "no number": (lambda text: edited(text, 2, output=float("nan")), "line 2: expected JSON, found: the number NaN"),
    "long number": (lambda text: text.replace('"serial": 0', '"serial": ' + "9" * 5000), "line 2: expected JSON"),
    "a key twice": (lambda text: text.replace('"serial": 0', '"serial": 0, "serial": 0'), "line 2: expected JSON"),
    "bad time": (lambda text: edited(text, 2, updated_at="now"), "line 2: time: expected"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_export_is_refused_and_changes_nothing(name: str, source: Registry, tmp_path: Path) -> None:
    damage, message = DAMAGES[name]
    target = Registry.open(str(tmp_path / "target.sqlite"))
    before = exported(target)
    with pytest.raises(ImportFileError, match=r"^all\.jsonl: line [0-9]: .*; ") as found:
        target.import_(io.StringIO(damage(exported(source))), name="all.jsonl")
    assert message in str(found.value)
    assert exported(target) == before
    with pytest.raises(ImportFileError) as checked:
        check_lines(io.StringIO(damage(exported(source))), "all.jsonl")
    assert str(checked.value) == str(found.value)
