"""What is printed of chances stops at what was tested."""

from __future__ import annotations

import csv
import math
from dataclasses import replace
from pathlib import Path

import pytest
from scipy.stats import binomtest

from scripts.null_run import distinct
from wam.pipeline.chance import TESTED, meaning, show_chance

ROOT = Path(__file__).resolve().parents[3]


def test_the_figures_are_those_of_the_table() -> None:
    header, *lines = (ROOT / TESTED.source).read_text().splitlines()
    rows = distinct([row for row in csv.DictReader(lines) if row["hash"]])
    unmarked = [row for row in rows if row["shown"] == "unmarked"]
    alarms = [row for row in unmarked if (row["anonymous"], row["named"]) != ("0", "0")]
    assert (TESTED.views, TESTED.pictures, TESTED.alarms) == (len(unmarked), len(unmarked), len(alarms))
    assert (TESTED.readings, TESTED.misnamed) == (len(rows), sum(row["named"] != "0" for row in rows))
    assert TESTED.model.rpartition("@")[2] in header and TESTED.search in header


@pytest.mark.parametrize("alarms", [0, 1, 3])
def test_the_bound_is_clopper_and_pearson_s(alarms: int) -> None:
    expected = binomtest(alarms, 2000, alternative="less").proportion_ci(0.95, method="exact").high
    assert replace(TESTED, pictures=2000, alarms=alarms).bound == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("log10_p", [-3.0, -4.0, -56.0, -math.inf])
def test_no_chance_is_said_to_be_smaller_than_what_was_tested(log10_p: float) -> None:
    said = show_chance(log10_p)
    assert said.startswith("< ") and said.endswith(", tested")
    assert TESTED.bound <= float(said[2:].partition(",")[0]) < 1.1 * TESTED.bound


def test_larger_chances_are_the_model_s() -> None:
    assert show_chance(-1.0) == "1e-1"


def test_the_sentences_of_a_sheet_are_those_of_the_page() -> None:
    page = (ROOT / "docs" / "what-a-match-means.md").read_text(encoding="utf-8")
    plain = " ".join(page.replace("**", "").split())
    for sentence in meaning():
        assert sentence in plain
