"""The smooth pictures of tests/data are those that the script draws, and they are smooth."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scripts.smooth_pictures import PICTURES
from wam.bench.smooth_part import block_noise, find_part, luma_of

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "tests" / "data" / "smooth"


def kept(name: str) -> np.ndarray:
    return np.asarray(Image.open(FOLDER / f"{name}.webp").convert("RGB"))


@pytest.mark.parametrize("name", PICTURES)
def test_the_script_draws_the_picture_that_is_kept(name: str) -> None:
    """To the pixel here; elsewhere sums may round the other way, and FreeType set a letter's edge otherwise."""
    drawn, there = PICTURES[name]().pixels(), kept(name)
    assert drawn.shape == there.shape
    off = np.abs(drawn.astype(int) - there)
    assert (off > 1).mean() < 0.005 and off.mean() < 0.02


def test_every_file_is_one_of_the_script_and_the_folder_stays_small() -> None:
    files = list(FOLDER.iterdir())
    assert {path.name for path in files} == {f"{name}.webp" for name in PICTURES} and len(PICTURES) >= 24
    assert sum(path.stat().st_size for path in files) < 4_500_000


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_has_a_place_without_texture_and_a_usual_size(name: str) -> None:
    pixels = kept(name)
    height, width = pixels.shape[:2]
    assert min(height, width) >= 480 and max(height, width) <= 1200
    part = find_part(luma_of(pixels))
    assert np.median(block_noise(luma_of(part.of(pixels)))) < 1.0


def test_the_program_writes_files_without_loss_and_names_what_it_does_not_know(tmp_path: Path) -> None:
    command = [sys.executable, "scripts/smooth_pictures.py", "--out", str(tmp_path), "--only"]
    subprocess.run([*command, "pixel_art"], cwd=ROOT, check=True, capture_output=True)
    assert (np.asarray(Image.open(tmp_path / "pixel_art.webp")) == PICTURES["pixel_art"]().pixels()).all()
    wrong = subprocess.run([*command, "sunset"], cwd=ROOT, check=False, capture_output=True, text=True)
    assert wrong.returncode == 2 and wrong.stderr.startswith("error: --only: expected some of sky_noon")
    assert [path.name for path in tmp_path.iterdir()] == ["pixel_art.webp"]
