"""Odd pictures with the shipped checkpoint: a defined answer to each, within bounds of work and memory.

Work is what the search counts itself, so that a slow machine passes and an endless search does not.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from tests.wam.detection import odd_pictures as odd
from tests.wam.synthetic import smooth_picture
from wam.cli import app
from wam.watermarker import Detection, Watermarker

SIZE = (256, 320)
BITS = "01100111000011110000111100001111"


def newspaper() -> np.ndarray:
    y, x = np.mgrid[:256, :320]
    tones = 128 + 90 * np.sin(x / 60) * np.cos(y / 40)
    return odd.halftone(Image.fromarray(tones.astype(np.uint8)))


UNMARKED: dict[str, Callable[[], np.ndarray]] = {
    "noise": lambda: odd.noise(*SIZE),
    "one colour": lambda: np.full((*SIZE, 3), 200, np.uint8),
    **{f"squares {period}": partial(odd.checkerboard, *SIZE, period=period) for period in (2, 8, 33.5, 64)},
    "squares of a tile": lambda: odd.checkerboard(*SIZE, period=32),
    "faint squares of a tile": lambda: odd.checkerboard(*SIZE, period=32, contrast=6),
    "halftone": newspaper,
    "text": lambda: odd.screenshot(*SIZE),
    "moire": lambda: odd.moire(*SIZE),
}


def look(marker: Watermarker, picture: np.ndarray, *, tried: int, views: int, faint: bool = False) -> list[Detection]:
    """What is found with no more regions tried and passes through the network; ``faint``: unlikely marks as well."""
    bound = marker.model.description.faint if faint else None
    found, search = marker.detect_and_explain(picture, max_log10_p=bound)
    assert search is not None
    assert search.tried <= tried and len(search.views) <= views
    return found


@pytest.mark.parametrize("name", UNMARKED)
def test_nothing_is_found_where_nothing_is(shipped: Watermarker, name: str) -> None:
    found = look(shipped, UNMARKED[name](), tried=300, views=16, faint=True)
    assert found == []  # not even a faint mark, whose word would be looked up


@pytest.mark.slow
@pytest.mark.parametrize("name", ["squares of a tile", "text", "noise"])
def test_nothing_is_found_in_larger_ones(shipped: Watermarker, name: str) -> None:
    larger = {
        "squares of a tile": odd.checkerboard(1024, 1280, period=128),
        "text": odd.screenshot(1200, 900),
        "noise": odd.noise(1024, 1280, seed=1),
    }
    assert look(shipped, larger[name], tried=1500, views=20) == []


@pytest.mark.parametrize("size", [(64, 64), (64, 200), (256, 256), (300, 500)])
def test_a_picture_that_is_marked_all_over(shipped: Watermarker, size: tuple[int, int]) -> None:
    marked = np.asarray(shipped.embed(smooth_picture(*size), BITS).image)
    (found,) = look(shipped, marked, tried=1, views=1)
    assert found.bits == BITS
    assert found.mask.mean() > 0.95


def test_a_picture_that_is_nothing_but_mark(shipped: Watermarker) -> None:
    grey = np.full((256, 320, 3), 128, np.uint8)
    pattern = np.asarray(shipped.embed(grey, BITS).image).astype(int) - 128
    loud = (128 + 15 * pattern).clip(0, 255).astype(np.uint8)
    (found,) = look(shipped, loud, tried=300, views=16)
    assert found.bits == BITS


@pytest.mark.parametrize("size", [(1, 300), (300, 1), (31, 31), (1, 1)])
def test_pictures_below_the_least_size_are_refused(shipped: Watermarker, size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="expected sides of at least 32 pixels"):
        shipped.detect(np.zeros((*size, 3), np.uint8))


@pytest.mark.parametrize("size", [(32, 4000), (4000, 32), (33, 33)])
def test_extreme_shapes(shipped: Watermarker, size: tuple[int, int]) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert look(shipped, smooth_picture(*size), tried=40, views=2) == []
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1_000_000  # KiB


def page_of(marker: Watermarker, photos: list[Image.Image], *, columns: int, gap: int) -> tuple[np.ndarray, list[str]]:
    """A light page of marked pictures of one size with a gap around each, and their messages."""
    random = np.random.default_rng(5)
    words = ["".join(random.choice(["0", "1"], 32)) for _ in photos]
    side, rows = photos[0].height, -(-len(photos) // columns)
    page = np.full((rows * (side + gap) + gap, columns * (side + gap) + gap, 3), 245, np.uint8)
    for place, (photo, word) in enumerate(zip(photos, words, strict=True)):
        top, left = (gap + index * (side + gap) for index in divmod(place, columns))
        page[top : top + side, left : left + side] = np.asarray(marker.embed(np.asarray(photo), word).image)
    return page, words


def pieces(photo: Image.Image, count: int, side: int) -> list[Image.Image]:
    """Square pieces of a photo, reduced."""
    corners = [(60 * (index % 8), 30 * (index // 8)) for index in range(count)]
    return [photo.crop((x, y, x + 2 * side, y + 2 * side)).resize((side, side)) for x, y in corners]


def test_a_page_of_tiny_marked_pictures(shipped: Watermarker, dragonfly: Image.Image) -> None:
    page, words = page_of(shipped, pieces(dragonfly, 6, 96), columns=3, gap=8)
    found = look(shipped, page, tried=200, views=16)
    assert len(found) >= 2
    assert {one.bits for one in found} <= set(words)


@pytest.mark.slow
def test_a_page_full_of_tiny_marked_pictures(shipped: Watermarker, dragonfly: Image.Image) -> None:
    page, words = page_of(shipped, pieces(dragonfly, 48, 96), columns=8, gap=8)
    found = look(shipped, page, tried=1500, views=20)
    assert 16 <= len(found) <= 32
    assert {one.bits for one in found} <= set(words)


LARGE = """
import resource, sys, numpy as np, torch, wam
torch.set_num_threads(1)
marker = wam.load(device="cpu")
pixels = np.random.default_rng(0).integers(0, 256, (3000, 4000, 3), dtype=np.uint8)
assert marker.detect(pixels) == []
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_noise_of_12_megapixels_takes_bounded_memory() -> None:
    done = subprocess.run([sys.executable, "-c", LARGE], capture_output=True, text=True, check=True, timeout=900)
    assert int(done.stdout) < 4_000_000  # KiB


@pytest.mark.parametrize("method", ["detect", "embed", "predict"])
@pytest.mark.parametrize(
    ("image", "problem"),
    [
        (torch.full((1, 3, 64, 64), float("nan")), "expected finite values"),
        (torch.full((1, 3, 64, 64), float("nan"), dtype=torch.bfloat16), "expected finite values"),
        (torch.full((1, 3, 64, 64), float("-inf")), "expected finite values"),
        (torch.full((1, 3, 64, 64), 1.01), "expected finite values"),
        (torch.zeros(1, 3, 64, 64, dtype=torch.uint8), r"expected \(B, 3, H, W\) float"),
        (torch.zeros(1, 3, 64, 64, dtype=torch.complex64), r"expected \(B, 3, H, W\) float"),
        (torch.zeros(3, 64, 64), r"expected \(B, 3, H, W\) float"),
        (torch.zeros(0, 3, 64, 64), r"expected \(B, 3, H, W\) float"),
        (torch.zeros(1, 3, 64, 64).to_sparse(), "found a sparse one"),
        (torch.zeros(1, 3, 64, 64, device="meta"), "found a meta one"),
        (np.zeros((64, 64, 3)), r"expected \(H, W, 3\) uint8"),
        (np.zeros((64, 64, 4), np.uint8), r"expected \(H, W, 3\) uint8"),
        (np.zeros((0, 64, 3), np.uint8), r"expected \(H, W, 3\) uint8"),
        (Image.new("I;16", (64, 64)), "expected 8 bits per sample, found mode I;16"),
        (Image.new("F", (64, 64)), "expected 8 bits per sample, found mode F"),
        ("photo.png", "expected a PIL image, an array or a tensor, found str"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{type(value).__name__}",
)
def test_what_is_no_picture_is_refused(light: Watermarker, image: object, problem: str, method: str) -> None:
    with pytest.raises(ValueError, match=problem):
        getattr(light, method)(image, *([BITS] if method == "embed" else []))


def test_one_bad_pixel_is_enough(light: Watermarker) -> None:
    image = torch.full((1, 3, 64, 64), 0.5)
    image[0, 1, 40, 50] = float("nan")
    with pytest.raises(ValueError, match="expected finite values"):
        light.detect(image)


def test_small_floats_and_gradients_are_no_obstacle(light: Watermarker) -> None:
    marked = torch.from_numpy(np.array(light.embed(smooth_picture(), BITS).image)).permute(2, 0, 1)[None] / 255
    for image in (marked.half(), marked.double(), marked.requires_grad_()):
        assert light.detect(image)[0].bits == BITS


@pytest.mark.parametrize(("name", "status"), [("noise.png", 1), ("thin.png", 2)])
def test_the_command_line_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, status: int) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.delenv("WAM_REGISTRY", raising=False)
    Image.fromarray(odd.noise(*((64, 64) if name == "noise.png" else (300, 1)))).save(tmp_path / name)
    result = CliRunner().invoke(app, ["detect", str(tmp_path / name), "--json"])
    assert result.exit_code == status
    (line,) = result.stdout.splitlines()
    found = json.loads(line)
    assert found["watermarks"] == []
    if name == "noise.png":
        assert found["error"] is None and (found["width"], found["height"]) == (64, 64)
    else:
        assert "expected a picture of at least" in found["error"]
