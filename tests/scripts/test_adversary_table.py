"""The tables of the threat model are those of the figures that are kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scripts import adversary_table
from wam.errors import WamError


def test_the_page_shows_the_figures_that_are_kept() -> None:
    page = adversary_table.PAGE.read_text(encoding="utf-8")
    assert adversary_table.filled(page, json.loads(adversary_table.FIGURES.read_text(encoding="utf-8"))) == page


def test_figures_are_taken_from_a_report_with_adversaries_only(tmp_path: Path) -> None:
    figures = json.loads(adversary_table.FIGURES.read_text(encoding="utf-8"))
    (tmp_path / "metrics.json").write_text(json.dumps({**figures, "groups": []}))
    assert adversary_table.figures_of(tmp_path) == figures
    figures["adversary"][0]["failed"] = 1
    (tmp_path / "metrics.json").write_text(json.dumps(figures))
    for place in (tmp_path, tmp_path / "none"):
        with pytest.raises(WamError, match="expected a report"):
            adversary_table.figures_of(place)


def test_every_row_is_a_line_of_the_table() -> None:
    figures = json.loads(adversary_table.FIGURES.read_text(encoding="utf-8"))
    text = adversary_table.tables(figures)
    for line in figures["adversary"]:
        assert f"| {line['row']} | {line['aim']} | {line['done']} of {line['photos']} |" in text
    assert figures["command"] in text


def test_a_page_without_a_place_is_refused() -> None:
    with pytest.raises(WamError, match="put them back"):
        adversary_table.filled("# Threat model\n", {})
