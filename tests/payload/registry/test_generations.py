"""Labelled words: schemes side by side, generations one after another, and look-ups that tell them apart."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from itertools import pairwise

import pytest
from sqlalchemy import update

from payload.codes.short_link import MOST_GENERATIONS, format_link, parse_link, parse_link_parts
from payload.errors import ImportFileError, RegistryError, RegistryFullError
from payload.layout import ID_COUNT
from payload.records.record import Record
from payload.registry import Registry
from payload.registry.database import connect, locate, transaction
from payload.registry.entry import Entry
from payload.registry.generations import LABELLED, SCHEME, Giving
from payload.registry.reservations import Wanted
from payload.registry.schema import registry_table

RECORD = Record("123", "acme")


def allocate(registry: Registry, count: int) -> list[Entry]:
    return [one.entry for one in registry.reserve([Wanted(Record(str(n), "acme")) for n in range(count)])]


def use_up(url: str, left: int) -> None:
    """Leaves so many words of the current generation, as if all others had been given out."""
    with transaction(connect(locate(url), create=False), write=True) as connection:
        connection.execute(
            update(registry_table).values(next_serial=registry_table.c.generation_first + ID_COUNT - left)
        )


def test_a_new_registry_gives_out_plain_words(registry: Registry) -> None:
    assert registry.giving == Giving() and registry.giving.name == "plain" and not registry.giving.labelled
    entry = registry.allocate(RECORD)
    assert (entry.scheme, entry.generation, entry.labelled) == (SCHEME, 0, False)


def test_words_of_both_schemes_lie_side_by_side(registry: Registry, registry_url: str) -> None:
    plain = allocate(registry, 3)
    assert registry.give("labelled").labelled == range(1)
    labelled = allocate(registry, 3)
    assert [one.scheme for one in labelled] == [LABELLED] * 3 and {one.generation for one in labelled} == {0}
    assert len({one.word for one in plain + labelled}) == 6
    again = Registry.open(registry_url)
    assert sorted(again.words().tolist()) == sorted(one.word for one in plain)
    assert sorted(again.words(labelled=0).tolist()) == sorted(one.word for one in labelled)
    assert all(again.find(one.word) == again.show(one.link) == one for one in plain + labelled)
    assert again.give("plain").labelled == range(1)  # marks with labels are out
    assert allocate(again, 1)[0].scheme == SCHEME


def test_the_next_generation_has_the_same_words_and_other_links(registry: Registry) -> None:
    registry.give("labelled")
    first = allocate(registry, 4)
    assert registry.open_generation() == Giving(LABELLED, 1, 4, 0)
    second = allocate(registry, 4)
    assert [one.word for one in first] == [one.word for one in second]
    assert [one.serial for one in second] == [4, 5, 6, 7] and {one.generation for one in second} == {1}
    assert registry.show(second[2].link) == registry.find(second[2].word, generation=1) == second[2]
    assert registry.find(second[2].word) == first[2] and registry.find(second[2].word, generation=2) is None
    confirmed = registry.confirm(second[0].word, generation=1, phash=7)
    assert (confirmed.serial, confirmed.state) == (4, "marked")
    assert registry.discard(second[1].word, generation=1).serial == 5
    assert registry.withdraw(second[0].link).serial == 4
    registry.log_look_up(second[2].word, generation=1)
    assert registry.show(first[0].link).state == "pending"
    assert sorted(registry.words(labelled=1).tolist()) == sorted(one.word for one in second[2:])
    assert [registry.link_of(one.serial) for one in second] == [one.link for one in second]
    assert [line.event for line in registry.audit()].count("generation") == 1
    assert registry.verify_audit().problem is None


def test_a_labelled_registry_opens_the_next_generation_by_itself(registry: Registry, registry_url: str) -> None:
    registry.give("labelled")
    use_up(registry_url, 2)
    entries = allocate(registry, 5)
    assert [one.generation for one in entries] == [0, 0, 1, 1, 1]
    assert registry.giving == Giving(LABELLED, 1, ID_COUNT, 0)
    assert (registry.statistics().generation, registry.statistics().free) == (1, ID_COUNT - 3)
    assert len({one.link for one in entries}) == 5


def test_a_plain_registry_that_is_full_may_become_labelled(registry: Registry, registry_url: str) -> None:
    use_up(registry_url, 1)
    with pytest.raises(RegistryFullError, match="expected 2 free ids, found 1; take fewer at a time"):
        allocate(registry, 2)
    plain = registry.allocate(RECORD)
    with pytest.raises(RegistryFullError, match="run `wam registry scheme labelled`"):
        registry.allocate(RECORD)
    registry.give("labelled")
    first = registry.allocate(RECORD)
    assert (plain.scheme, first.scheme, first.generation) == (SCHEME, LABELLED, 1)
    with pytest.raises(RegistryError, match="expected generation 0, the only one of plain words, found 1"):
        registry.give("plain")


def test_plain_words_have_one_generation(registry: Registry) -> None:
    with pytest.raises(RegistryError, match="expected labelled words, found plain ones; run `wam registry scheme"):
        registry.open_generation()


@pytest.fixture
def three(tmp_path: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry with plain words, labelled ones, and a second generation."""
    registry = Registry.open(f"{tmp_path}/three.sqlite")
    allocate(registry, 2)
    registry.give("labelled")
    allocate(registry, 3)
    registry.open_generation()
    allocate(registry, 2)
    yield registry


def exported(registry: Registry) -> str:
    stream = io.StringIO()
    registry.export(stream)
    return stream.getvalue()


def test_an_export_holds_schemes_and_generations(three: Registry, registry: Registry) -> None:
    text = exported(three)
    assert json.loads(text.splitlines()[0])["version"] == 4
    assert registry.import_(io.StringIO(text)) == 7
    assert exported(registry) == text and registry.giving == three.giving
    assert allocate(registry, 1)[0].link == allocate(three, 1)[0].link
    assert registry.import_(io.StringIO(text)) == 0 and registry.giving == three.giving


def test_an_export_of_plain_words_says_nothing_of_generations(registry: Registry) -> None:
    allocate(registry, 2)
    first, *entries = map(json.loads, exported(registry).splitlines())
    assert first["version"] == 4 and "giving" not in first and len(entries) == 2


def test_an_export_of_version_3_is_read_and_has_to_say_what_is_given(three: Registry, registry: Registry) -> None:
    header, *entries = map(json.loads, exported(three).splitlines())
    old = [header | {"version": 3}, *({name: one[name] for name in one if name != "pdq"} for one in entries)]
    with pytest.raises(ImportFileError, match="expected a secret and a count in the header"):
        registry.import_(io.StringIO(json.dumps({name: old[0][name] for name in old[0] if name != "giving"}) + "\n"))
    assert registry.import_(io.StringIO("".join(json.dumps(one) + "\n" for one in old))) == 7
    assert registry.giving == three.giving and [*registry.entries()] == [*three.entries()]


@pytest.mark.parametrize(
    ("name", "value"), [("first", 4), ("generation", 3), ("scheme", "word-22"), ("labelled_from", 7), ("first", -1)]
)
def test_an_export_with_another_generation_is_refused(
    three: Registry, registry: Registry, name: str, value: object
) -> None:
    first, *rest = exported(three).splitlines()
    header = json.loads(first)
    header["giving"][name] = value
    with pytest.raises(ImportFileError, match="line 1"):
        registry.import_(io.StringIO("\n".join([json.dumps(header), *rest])))
    assert registry.counts() == {} and registry.giving == Giving()


def test_an_entry_of_another_generation_is_refused(three: Registry, registry: Registry) -> None:
    lines = exported(three).splitlines()
    entry = json.loads(lines[3])
    entry["generation"] = 1
    with pytest.raises(ImportFileError, match="line 4: generation: expected 0, as the link says, found 1"):
        registry.import_(io.StringIO("\n".join([*lines[:3], json.dumps(entry), *lines[4:]])))


@pytest.mark.parametrize("generation", [1, 31, 32, 12345, MOST_GENERATIONS - 1])
def test_links_of_later_generations_group_by_four_and_notice_mistakes(generation: int) -> None:
    link = format_link(0x7A1BD0FD, generation)
    assert len(link) == len("wm:1X1Q-M7X0-0011") and parse_link_parts(link) == (0x7A1BD0FD, generation)
    assert parse_link_parts(link.lower().replace("-", " ").removeprefix("wm:")) == (0x7A1BD0FD, generation)
    with pytest.raises(ValueError, match=f"of generation {generation}"):
        parse_link(link)
    symbols = [place for place, symbol in enumerate(link) if place > 2 and symbol != "-"]
    for place in symbols:
        other = "7" if link[place] != "7" else "8"
        with pytest.raises(ValueError, match="check symbol"):
            parse_link_parts(link[:place] + other + link[place + 1 :])
    for one, two in pairwise(symbols):
        if link[one] != link[two]:
            swapped = list(link)
            swapped[one], swapped[two] = swapped[two], swapped[one]
            with pytest.raises(ValueError, match="check symbol"):
                parse_link_parts("".join(swapped))


def test_a_long_link_of_the_first_generation_is_none() -> None:
    """There is one way to write each."""
    assert format_link(0x7A1BD0FD, 0) == format_link(0x7A1BD0FD) == "wm:1X1Q-M7XX"
    accepted = [check for check in "0123456789ABCDEFGHJKMNPQRSTVWXYZ" if not _refused(f"wm:1X1Q-M7X0-000{check}")]
    assert accepted == []


def _refused(link: str) -> bool:
    try:
        parse_link_parts(link)
    except ValueError:
        return True
    return False
