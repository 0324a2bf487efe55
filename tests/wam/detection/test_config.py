"""The search's constants: named by a digest, refused where they make no sense, and all in one place."""

from __future__ import annotations

import ast
import re
from dataclasses import fields, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import wam
from tests.wam.synthetic import THRESHOLD, handmade_marker, message, smooth_picture
from wam.detection import config
from wam.detection.config import DEFAULT_SEARCH, SEARCH_OF_0_3_0, SearchConfig
from wam.detection.detector import search
from wam.detection.pyramid import pyramid
from wam.models.lattice_model import LatticeModel
from wam.signal.mark_grid import WORKING_SIDES
from wam.watermarker import to_batch

ROOM = Path(wam.__file__).parent / "detection"
# see the docstring of wam.detection.config: they change no result
ELSEWHERE = {"BATCH_DEVICE", "PICKS", "REPEATED", "GROUP", "BATCH", "OUTSIDE", "TOGETHER", "TOGETHER_DEVICE"}
# of labels, which change nothing about marks without one: they join the configuration with the next calibration
ELSEWHERE |= {"FEW_LABELS", "LIKELY_SHIFTS", "BEST_SHIFTS", "SMALL_LABELS", "DOUBT"}
# of looks where the search found nothing, and of traces: likewise
ELSEWHERE |= {"NEGATIVE", "REVERSALS", "LIKELY", "SURE", "SUSPICIOUS", "BLANK"}
VALUES = [(group.name, value.name) for group in fields(SearchConfig) for value in fields(group.default_factory)]  # type: ignore[arg-type]


def changed(group: str, name: str, value: Any) -> SearchConfig:
    """The default with one value changed."""
    return replace(DEFAULT_SEARCH, **{group: replace(getattr(DEFAULT_SEARCH, group), **{name: value})})


def test_the_default_is_the_search_that_shipped_checkpoints_were_calibrated_with() -> None:
    assert SearchConfig().digest() == SEARCH_OF_0_3_0, (
        "a constant of the search was changed: chances of false alarms that checkpoints state no longer hold."
        " Recalibrate them (python scripts/calibrate.py --photos FOLDER --model FILE --out FILE) and pin the new digest"
        " in another constant beside SEARCH_OF_0_3_0, which stays the name of what version 0.3.0 searched with"
    )


def test_the_digest_is_of_the_values() -> None:
    assert SearchConfig() == DEFAULT_SEARCH
    assert SearchConfig().digest() == DEFAULT_SEARCH.digest()
    assert re.fullmatch("[0-9a-f]{16}", DEFAULT_SEARCH.digest())


@pytest.mark.parametrize(("group", "name"), VALUES)
def test_any_value_can_be_varied_and_changes_the_digest(group: str, name: str) -> None:
    value = getattr(getattr(DEFAULT_SEARCH, group), name)
    if isinstance(value, tuple):
        other: Any = (
            (*value[:-1], (value[-1][0] + 1, *value[-1][1:])) if name == "climb" else (*value[:-1], value[-1] * 2)
        )
    else:
        other = value + 2 if isinstance(value, int) else value * 0.9
    assert changed(group, name, other).digest() != DEFAULT_SEARCH.digest()


@pytest.mark.parametrize(
    ("group", "name", "value", "problem"),
    [
        ("pyramid", "finer", 1.0, "ratios: expected more than 1, found "),
        ("pyramid", "done", 1.2, "done: expected a share from 0 to 1"),
        ("lattice", "scales", (1.5, 0.68), "lattice scales: expected two rising scales"),
        ("lattice", "peak_window", 4, "lattice windows: expected odd ones"),
        ("synchronization", "shifts", 16, "shifts: expected at least 32"),
        ("homography", "reach", 40, "homography reach: expected less than half a block"),
        ("small_regions", "finest", 0.7, r"small_regions.finest: expected less than lattice.scales, 0.68, found 0.7"),
        ("presence", "reported_log10_p", 0.5, "presence: expected log10 of chances"),
    ],
)
def test_values_that_make_no_sense_are_refused(group: str, name: str, value: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=f"^search config, {problem}"):
        changed(group, name, value)


def test_every_value_says_what_it_is() -> None:
    lines = Path(config.__file__).read_text().splitlines()
    stated = [(before, line) for before, line in pairwise(lines) if re.match(r"    \w+: .* = ", line)]
    bare = [line for before, line in stated if "#" not in line and "#" not in before and "default_factory" not in line]
    assert bare == []


def test_no_constant_of_the_search_lies_elsewhere() -> None:
    found = set()
    for path in ROOM.glob("*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Assign) and path.name != "config.py":
                values = [part.value for part in ast.walk(node.value) if isinstance(part, ast.Constant)]
                names = [target.id for target in node.targets if isinstance(target, ast.Name)]
                if any(isinstance(value, int | float) for value in values):
                    found.update(name for name in names if not name.startswith("_"))
    assert found == ELSEWHERE


def test_a_model_searches_with_its_own_values() -> None:
    model = handmade_marker().model
    assert isinstance(model, LatticeModel)
    image = model.mark(to_batch(smooth_picture()), message(0), psnr_db=42.0).detach()[0]
    blind = changed("pyramid", "legible", (2.0, 3.0))  # the expected pose is never in sight
    usual, other = (search(model, image, threshold=THRESHOLD, config=values) for values in (DEFAULT_SEARCH, blind))
    assert "expected pose" in usual.found[0].how and "whole view" in other.found[0].how
    models = LatticeModel(
        model.embedder, model.extractor, model.carriers, model.calibration, name="blind@0", config=blind
    )
    assert "whole view" in models.find(image)[0].how


def test_marks_in_cells_are_made_for_sides_that_detection_looks_from() -> None:
    """At each a level lies within the range of scales that a level is searched for."""
    assert WORKING_SIDES == (256, 410, 655, 1049)
    finest, coarsest = DEFAULT_SEARCH.lattice.scales
    for short_side in (700, 1024, 2000, 3000):
        for side in WORKING_SIDES:
            if side <= short_side:
                assert any(finest < level / side < coarsest for level in pyramid(short_side, DEFAULT_SEARCH.pyramid))
