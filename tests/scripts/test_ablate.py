"""The ablation script: rows, skipping what is done, and variants that exist."""

from __future__ import annotations

import csv
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch
from PIL import Image

from tests.wam.synthetic import smooth_picture
from wam.training.settings import Settings

SCRIPT = Path(__file__).parents[2] / "scripts" / "ablate.py"
CHECKPOINT = SCRIPT.parents[1] / "checkpoints" / "lattice32.safetensors"


def module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("ablate_script", SCRIPT)
    assert spec is not None and spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    sys.modules["ablate_script"] = loaded  # dataclasses look their module up
    spec.loader.exec_module(loaded)
    return loaded


ABLATE = module()


@pytest.fixture
def ablate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., int]:
    """Runs the script on 9 small photos, one of them for validation; returns its exit status."""
    torch.set_num_threads(1)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    (tmp_path / "photos").mkdir()
    for number in range(9):
        Image.fromarray(smooth_picture(200, 230, seed=number)).save(tmp_path / "photos" / f"{number}.png")

    def invoke(variants: str) -> int:
        paths = ["--photos", str(tmp_path / "photos"), "--out", str(tmp_path / "out"), "--from", str(CHECKPOINT)]
        sizes = ["--minutes-each", "0", "--batch", "4", "--checked", "1", "--validation-batches", "1"]
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), *paths, *sizes, "--variants", variants])
        return int(ABLATE.main())

    return invoke


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "out" / "ablation.csv").open() as file:
        return list(csv.DictReader(file))


def test_variants_are_measured_once(
    ablate: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ablate("handmade-extractor,no-high-pass") == 0
    first = rows(tmp_path)
    assert [(row["variant"], row["steps"]) for row in first] == [("handmade-extractor", "0"), ("no-high-pass", "1")]
    assert all(0 <= float(row["jpeg_bits_25"]) <= 1 and float(row["psnr"]) > 40 for row in first)
    assert first[0]["val_correlation"] != first[1]["val_correlation"]
    capsys.readouterr()
    assert ablate("handmade-extractor,start") == 0
    shown = capsys.readouterr()
    assert "handmade-extractor: has its row already" in shown.err
    again = rows(tmp_path)
    assert again[:2] == first and [row["variant"] for row in again[2:]] == ["start"]
    table = (tmp_path / "out" / "ablation.md").read_text()
    assert shown.out.strip() == table.strip() and "| start | the starting weights, not trained | 0 |" in table


def test_an_unknown_variant_is_one_line_and_status_2(
    ablate: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ablate("baseline,nothing") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: --variants: expected some of start, ") and line.endswith(
        "found nothing; change them"
    )


@pytest.mark.parametrize("name", ABLATE.VARIANTS)
def test_every_variant_can_be_built(name: str) -> None:
    variant = ABLATE.VARIANTS[name]
    settings = replace(Settings("", joint_from=0), **variant.changes)
    unchanged = name in ("start", "baseline", "handmade-extractor")
    assert (settings == Settings("", joint_from=0)) is unchanged
