"""The rows of the evaluation protocol."""

import pytest

from attacks import GROUPS, parse, suite


def test_groups_hold_their_own_attacks() -> None:
    for group in GROUPS:
        assert {attack.group for attack in suite(group)} == {group}


def test_all_is_every_group_once() -> None:
    rows = suite("all")
    assert len(rows) == len(set(rows)) == sum(len(suite(group)) for group in GROUPS) == 74


@pytest.mark.parametrize("row", ["jpeg=40", "hue=-0.2", "posterize=4", "crop_keep=0.33", "aspect=1.25", "inpaint=0.3"])
def test_rows_of_the_protocol_are_there(row: str) -> None:
    assert parse(row) in suite("all")


def test_wam_rows_come_from_the_paper() -> None:
    rows = [repr(attack) for attack in suite("wam")]
    assert len(rows) == len(set(rows)) == 27
    assert rows[0] == "identity" and rows[-1] == "combination"
    assert {"rotate=10", "collage=0.1", "jpeg=50"} <= set(rows)


def test_an_unknown_suite_lists_the_known() -> None:
    with pytest.raises(ValueError, match="known: all, none, valuemetric"):
        suite("everything")
