"""The rows of the bench by name."""

from __future__ import annotations

import pytest

from attacks import UnknownAttackError, scene_suite, suite
from wam.bench.rows import choose_rows, negative_rows


def names(text: str) -> list[str]:
    return [row.name for row in choose_rows(text)]


def test_all_is_the_whole_protocol() -> None:
    rows = names("all")
    assert len(rows) == len(suite("all")) + len(scene_suite()) + 1
    assert {"identity", "jpeg=80", "multi=5", "multi_jpeg=3", "composite=4", "unmarked"} <= set(rows)


def test_suites_and_names_mix_and_repeat_once() -> None:
    assert names("floor,jpeg=80,unmarked+jpeg=50") == [*names("floor"), "unmarked+jpeg=50"]


@pytest.mark.parametrize("name", ["all", "wam", "jpeg=80+crop=0.5", "wrong_key", "composite=2", "unmarked+rotate=10"])
def test_names_read_back(name: str) -> None:
    for row in choose_rows(name):
        assert choose_rows(row.name) == [row]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("jpg=80", "suites: all, wam"),
        ("multi", None),
        ("multi=0", "1 to 9"),
        ("composite=x", "a number of marks"),
        ("", "expected an attack"),
    ],
)
def test_what_is_not_known_is_said(name: str, message: str | None) -> None:
    if message is None:
        assert {row.group for row in choose_rows(name)} == {"multi"}
        return
    with pytest.raises(ValueError, match=message):
        choose_rows(name)


def test_rows_that_search_everything_are_known() -> None:
    costly = {row.name for row in choose_rows("all") if row.costly}
    assert {"perspective=0.3", "collage=0.1", "multi=1", "composite=3"} <= costly
    assert not costly & {"identity", "jpeg=50", "rotate=10", "crop=0.1", "unmarked"}


def test_a_chain_with_a_view_from_an_angle_searches_everything_wherever_it_stands() -> None:
    assert [row.costly for row in choose_rows("jpeg=80+perspective=0.3,jpeg=80+rotate=10")] == [True, False]


def test_a_sweep_is_of_one_attack_with_a_strength() -> None:
    swept = [row.swept for row in choose_rows("jpeg=80,hue=-.1,hflip,jpeg=80+crop=.5,unmarked+jpeg=50,multi=2")]
    assert swept == [("jpeg", 80.0), ("hue", -0.1), None, None, None, None]


@pytest.mark.parametrize(("text", "unknown"), [("jpg=80", True), ("jpeg=80+blur", True), ("jpeg=0", False)])
def test_suites_are_listed_for_what_is_not_known_and_for_nothing_else(text: str, unknown: bool) -> None:
    with pytest.raises(ValueError) as raised:
        choose_rows(text)
    assert isinstance(raised.value, UnknownAttackError) == unknown == ("suites: all" in str(raised.value))


def test_negatives_are_attacked_and_tried_with_a_wrong_key() -> None:
    rows = [row.name for row in negative_rows()]
    assert rows[0] == "unmarked" and rows[-1] == "wrong_key" and "unmarked+jpeg=50" in rows
