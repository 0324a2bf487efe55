"""``wam claims``: figures of the checkpoint that was tested, and none of any other."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from safetensors import safe_open
from safetensors.torch import save_file

from tests.wam.cli.commands import Run, objects
from wam.models.zoo import open_checkpoint
from wam.pipeline.chance import TESTED


def test_the_shipped_checkpoint_claims_what_was_tested_or_says_that_it_was_not(run: Run) -> None:
    checkpoint, name = open_checkpoint("lattice32")
    (said,) = objects(run("claims", "--json"))
    assert said["checkpoint"] == f"{name}@{checkpoint.sha256[:8]}"
    own = TESTED.model in (said["checkpoint"], *checkpoint.same_as)
    assert said["tested"] == (
        own and checkpoint.calibration is not None and checkpoint.calibration["search"] == TESTED.search
    )
    assert said["training_figures"] == checkpoint.metadata["figures"]
    if said["tested"]:
        assert said["unmarked_pictures_reported"]["of"] == TESTED.pictures
        assert said["unmarked_pictures_reported"]["below"] == pytest.approx(TESTED.bound, abs=1e-6)
        assert said["source"] == TESTED.source


def test_what_is_printed_is_rounded_up_never_down(run: Run) -> None:
    text = run("claims").stdout
    (line,) = [line for line in text.splitlines() if line.startswith("unmarked pictures")]
    printed = float(line.partition("below ")[2].partition("%")[0]) / 100
    assert TESTED.bound <= printed < TESTED.bound + 1e-4
    assert f"{math.ceil(1e6 * TESTED.bound):,} at most" in text
    assert "docs/what-a-match-means.md" in text


def test_a_checkpoint_that_was_not_tested_claims_nothing(run: Run) -> None:
    """The same tensors in another file: who can tell what else was changed?"""
    with safe_open(open_checkpoint("lattice32")[0].path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no dictionary
        save_file(tensors, "other.safetensors", {**file.metadata(), "note": "changed"})
    (said,) = objects(run("claims", "--model", "other.safetensors", "--json"))
    assert (said["tested"], said["unmarked_pictures_reported"], said["source"]) == (False, None, None)
    text = run("claims", "--model", "other.safetensors").stdout
    assert "not tested: " in text and "below" not in text


def test_a_file_that_is_no_checkpoint_is_one_line(run: Run) -> None:
    Path("no.safetensors").write_bytes(json.dumps({}).encode())
    result = run("claims", "--model", "no.safetensors")
    assert result.exit_code == 2 and len(result.stderr.splitlines()) == 1
