"""The training script: a smoke run, resuming, and data it cannot use."""

from __future__ import annotations

import csv
import errno
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

from wam.models.checkpoints import load_checkpoint

SCRIPT = Path(__file__).parents[2] / "scripts" / "train.py"
TINY = ("--channels", "8", "--blocks", "1", "--batch", "4", "--validation-batches", "2")
Train = Callable[..., int]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("train_script", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["train_script"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def train(script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Train:
    """Runs the script on ``photos`` with tiny settings into ``run``; returns its exit status."""
    torch.set_num_threads(1)
    monkeypatch.delenv("WORLD_SIZE", raising=False)

    def invoke(*options: str, run: str = "run") -> int:
        paths = ("--photos", str(tmp_path / "photos"), "--out", str(tmp_path / run))
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), *paths, *TINY, *options])
        return int(script.main())

    return invoke


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """12 generated photos: slopes of colour, a bright disc, and grain."""
    folder = tmp_path / "photos"
    folder.mkdir()
    y, x = np.mgrid[:220, :240]
    for number in range(12):
        generator = np.random.default_rng(number)
        slopes = np.stack([generator.uniform(40, 160) + generator.uniform(-0.3, 0.3) * (x + y)] * 3, -1)
        slopes[(y - 110) ** 2 + (x - 120) ** 2 < generator.uniform(20, 80) ** 2] += 40
        grain = generator.normal(0, 4, (220, 240, 1))
        Image.fromarray((slopes + grain).clip(0, 255).astype(np.uint8)).save(folder / f"{number:02}.png")
    return folder


def log(run: Path) -> list[dict[str, str]]:
    with (run / "log.csv").open() as file:
        return list(csv.DictReader(file))


def state_of(run: Path) -> dict[str, object]:
    return dict(torch.load(run / "state.pt", weights_only=True))


def test_a_run_writes_all_it_promises(
    train: Train, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "03b.jpg").write_bytes(b"not a picture")
    assert train("--steps", "3", "--joint-from", "2") == 0
    run = tmp_path / "run"
    assert sorted(path.name for path in run.iterdir()) == ["best.safetensors", "curves.png", "log.csv", "state.pt"]
    (row,) = log(run)
    assert row["step"] == "3"
    assert all(np.isfinite(float(row[name])) for name in ("pattern", "mask", "bits", "val_pattern", "val_correlation"))
    checkpoint = load_checkpoint(run / "best.safetensors")
    assert checkpoint.metadata["step"] == 3 and checkpoint.metadata["settings"]["channels"] == 8
    with Image.open(run / "curves.png") as curves:
        assert curves.width > 500
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "11 photos, 1 process(es), cpu, from step 0" in shown.err
    assert "stopped at step 3; 1 pictures could not be read" in shown.err


def test_a_resumed_run_equals_one_that_never_stopped(
    train: Train, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Weights, optimiser, curriculum and random state: the losses of every later step are the same."""
    assert train("--steps", "4", "--joint-from", "1", run="whole") == 0
    assert train("--steps", "2", "--joint-from", "1", run="halves") == 0
    assert state_of(tmp_path / "halves")["step"] == 2
    assert train("--steps", "4", run="halves") == 0
    assert "from step 2" in capsys.readouterr().err
    assert [row["step"] for row in log(tmp_path / "halves")] == ["2", "4"]
    whole, halves = state_of(tmp_path / "whole"), state_of(tmp_path / "halves")
    assert whole["settings"] == halves["settings"]
    for part in ("weights", "average"):
        first, second = whole[part], halves[part]
        assert isinstance(first, dict) and isinstance(second, dict)
        for name in first:
            torch.testing.assert_close(first[name], second[name], atol=1e-6, rtol=1e-5)
    assert whole["numpy_random"] == halves["numpy_random"]


def test_minutes_end_a_run_and_save_it(train: Train, photos: Path, tmp_path: Path) -> None:
    assert train("--minutes", "0") == 0
    assert state_of(tmp_path / "run")["step"] == 1


def test_a_loss_that_is_not_finite_ends_the_run_and_keeps_the_last_state(
    train: Train, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train("--steps", "1") == 0
    path = tmp_path / "run" / "state.pt"
    state = state_of(tmp_path / "run")
    weights = state["weights"]
    assert isinstance(weights, dict)
    weights["extractor.stem.weight"].fill_(float("nan"))  # as after a step too far
    torch.save(state, path)
    before = path.read_bytes()
    assert train("--steps", "2") == 1
    assert "error: loss is not finite at step 1; the state of the last save is kept" in capsys.readouterr().err
    assert (tmp_path / "run" / "state.pt").read_bytes() == before


def test_too_few_images_are_one_line_and_status_2(
    train: Train, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in sorted(photos.iterdir())[5:]:
        path.unlink()
    assert train() == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {photos}: expected at least 8 readable pictures, found 5 (0 unreadable); give a")


def test_a_full_disk_ends_the_run_and_keeps_the_last_files(
    train: Train, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert train("--steps", "1") == 0
    before = {path.name: path.read_bytes() for path in run.iterdir() if path.suffix in (".pt", ".safetensors")}

    def write_a_part(path: Path, data: bytes) -> int:
        with path.open("wb") as file:
            file.write(data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", write_a_part)
    assert train("--steps", "2") == 1
    assert "could not be written (No space left on device); the last save is kept, make room" in capsys.readouterr().err
    assert sorted(path.name for path in run.iterdir()) == ["best.safetensors", "curves.png", "log.csv", "state.pt"]
    assert {name: (run / name).read_bytes() for name in before} == before


def test_a_run_may_start_from_the_weights_of_a_checkpoint(train: Train, photos: Path, tmp_path: Path) -> None:
    assert train("--steps", "1", run="first") == 0
    first = tmp_path / "first" / "best.safetensors"
    assert train("--steps", "1", "--from", str(first), "--rate", "0", run="second") == 0
    weights, started = load_checkpoint(first).extractor.state_dict(), state_of(tmp_path / "second")["weights"]
    assert isinstance(started, dict)
    for name in weights:
        torch.testing.assert_close(started[f"extractor.{name}"], weights[name], atol=1e-6, rtol=1e-5)


def test_a_run_with_another_carrier_leaves_no_checkpoint(train: Train, photos: Path, tmp_path: Path) -> None:
    assert train("--steps", "1", "--per-bit", "3", "--no-learned-gain", "--no-high-pass") == 0
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["curves.png", "log.csv", "state.pt"]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--decay-minutes", "3"), "found 3.0; give --minutes"),
        (("--minutes", "2", "--decay-minutes", "3"), "expected 0 to --minutes (2.0), found 3.0"),
        (("--lowest", "11"), "carrier band: expected 0 < lowest < highest < 16 cycles per tile, found 11.0 to 10.3"),
        (("--level", "2"), "level: expected 0 to 1, found 2.0"),
        (("--from", "none.safetensors"), "none.safetensors: expected a checkpoint"),
    ],
)
def test_options_that_cannot_be_are_one_line_and_status_2(
    train: Train, photos: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], problem: str
) -> None:
    assert train("--steps", "1", *options) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and problem in line
