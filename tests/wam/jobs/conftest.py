"""Files to be marked and a registry to mark them with."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from payload.registry import Registry
from tests.wam.synthetic import smooth_picture


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three files of two sizes, one in a folder of its own."""
    folder = tmp_path / "photos"
    (folder / "deep").mkdir(parents=True)
    for seed, (name, side) in enumerate([("a.png", 128), ("b.jpg", 128), ("deep/c.png", 144)]):
        Image.fromarray(smooth_picture(128, side, seed=seed)).save(folder / name, quality=95)
    return folder


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry.open(str(tmp_path / "registry.sqlite"))
