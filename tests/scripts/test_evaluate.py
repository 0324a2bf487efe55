"""The evaluation of checkpoints in training: learned stages can be replaced, and results say so."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch

from tests.wam.bench.doubles import photos_in
from wam.models.lattice_model import LatticeModel
from wam.networks.baseline_extractor import HandmadeExtractor

SCRIPT = Path(__file__).parents[2] / "scripts" / "evaluate.py"


def module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("evaluate_script", SCRIPT)
    assert spec is not None and spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


EVALUATE = module()


@pytest.fixture
def evaluate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs the script on one small photo in this process; returns its exit status."""
    torch.set_num_threads(1)
    photos_in(tmp_path / "photos", 1)

    def invoke(*options: str) -> int:
        paths = ("--photos", str(tmp_path / "photos"), "--out", str(tmp_path / "out"), "--device", "cpu")
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), *paths, "--workers", "1", *options])
        return int(EVALUATE.main())

    return invoke


def test_results_of_a_replaced_stage_are_kept_apart(evaluate: Callable[..., int], tmp_path: Path) -> None:
    assert evaluate("--attacks", "identity") == 0
    assert evaluate("--attacks", "identity", "--hand-made", "extractor") == 0
    lines = [json.loads(line) for line in (tmp_path / "out" / "results.jsonl").read_text().splitlines()]
    first, second = sorted({line["contender"] for line in lines})
    assert second == f"{first} (hand-made extractor)"
    (row,) = [line for line in lines if (line["contender"], line["row"]) == (first, "identity")]
    assert row["error"] is None and row["values"]["marks"][0]["record"]


def test_the_stage_that_is_named_is_replaced_and_no_other() -> None:
    models = {name: EVALUATE.load_changed("lattice32", "cpu", name).model for name in EVALUATE.HAND_MADE}
    usual = models["none"]
    assert isinstance(usual, LatticeModel) and not isinstance(usual.extractor, HandmadeExtractor)
    assert isinstance(models["extractor"].extractor, HandmadeExtractor)
    assert not isinstance(models["embedder"].extractor, HandmadeExtractor)
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        gains = {name: model.embedder(images) for name, model in models.items()}
    assert torch.equal(gains["none"], gains["extractor"])
    assert not torch.equal(gains["none"], gains["embedder"])


@pytest.mark.parametrize("options", [("--model", "lattice33"), ("--attacks", "jpg")])
def test_what_is_not_known_is_one_line_and_status_2(
    evaluate: Callable[..., int], capsys: pytest.CaptureFixture[str], options: tuple[str, ...]
) -> None:
    assert evaluate(*options) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and options[1] in line
