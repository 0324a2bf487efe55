"""What the tests of `wam` share: the public carrier, the light model and the shipped one, sample photos."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

import wam
from tests.wam.synthetic import handmade_marker
from wam.signal.pattern import Carrier
from wam.watermarker import Watermarker

SAMPLES = Path(wam.__file__).parent / "samples"


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Small pictures are faster on one thread, and other work keeps its core."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def carrier() -> Carrier:
    return Carrier.from_key()


@pytest.fixture(scope="session")
def light() -> Watermarker:
    """The hand-made extractor behind the public interface: mechanics without weights."""
    return handmade_marker()


@pytest.fixture(scope="session")
def shipped() -> Watermarker:
    """The checkpoint that ships with the package."""
    return wam.load(device="cpu")


@pytest.fixture(scope="session")
def dragonfly() -> Image.Image:
    """A sample photo at half its size, 666x376."""
    return Image.open(SAMPLES / "dragonfly.jpg").convert("RGB").reduce(2)


@pytest.fixture(scope="session")
def dune() -> Image.Image:
    """Another sample photo at half its size, 613x408."""
    return Image.open(SAMPLES / "dune.jpg").convert("RGB").reduce(2)
