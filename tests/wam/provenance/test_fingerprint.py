"""Fingerprints: of one picture under what people do to copies, of what shows too little, and without the package."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import wam
from payload.phash import before_cut
from tests.wam.synthetic import varied_picture
from wam.provenance import fingerprint as module
from wam.provenance.fingerprint import TURNS, fingerprint, fingerprints_of, turned_fingerprints

with Image.open(Path(wam.__file__).parent / "samples" / "dragonfly.jpg") as photo:
    PIXELS = np.asarray(photo.convert("RGB").reduce(4))


def apart(one: int | None, other: int | None) -> int:
    assert one is not None and other is not None
    return (one ^ other).bit_count()


def as_jpeg(pixels: np.ndarray) -> np.ndarray:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=40)
    return np.asarray(Image.open(stream))


def scaled(pixels: np.ndarray, side: int) -> np.ndarray:
    return np.asarray(Image.fromarray(pixels).resize((side, side)))


@pytest.mark.parametrize("change", [as_jpeg, lambda pixels: scaled(pixels, 90), lambda pixels: scaled(pixels, 900)])
def test_copies_are_near_and_other_pictures_far(change: Callable[[np.ndarray], np.ndarray]) -> None:
    assert apart(fingerprint(PIXELS), fingerprint(change(PIXELS))) <= 16
    assert apart(fingerprint(PIXELS), fingerprint(varied_picture(seed=5, side=200))) > 80


def test_a_copy_however_it_was_turned_or_mirrored_gives_the_own_one_in_its_place() -> None:
    done = {
        "": PIXELS,
        "turned by 90° clockwise": np.rot90(PIXELS, -1),
        "turned by 180°": np.rot90(PIXELS, 2),
        "turned by 90° counter-clockwise": np.rot90(PIXELS),
        "mirrored top to bottom": PIXELS[::-1],
        "mirrored left to right": PIXELS[:, ::-1],
        "mirrored along its diagonal": PIXELS.transpose(1, 0, 2),
        "mirrored along its other diagonal": np.rot90(PIXELS, 2).transpose(1, 0, 2),
    }
    assert tuple(done) == TURNS
    for place, copy in enumerate(done.values()):
        found = [apart(fingerprint(PIXELS), one) for one in turned_fingerprints(np.ascontiguousarray(copy))]
        assert found.index(min(found)) == place and min(found) <= 8


def test_what_was_cut_off_at_the_right_is_guessed() -> None:
    left = np.ascontiguousarray(PIXELS[:, : round(PIXELS.shape[1] * 0.85)])
    guessed = min(apart(fingerprint(PIXELS), one) for one in fingerprints_of(before_cut(left)))
    assert guessed < apart(fingerprint(PIXELS), fingerprint(left)) and guessed <= 95


def test_a_picture_that_shows_too_little_has_none() -> None:
    blank = np.full((100, 100, 3), 200, np.uint8)
    assert fingerprint(blank) is None and turned_fingerprints(blank) == ()


def test_without_the_package_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    assert fingerprint(PIXELS) is None
    assert turned_fingerprints(PIXELS) == fingerprints_of([PIXELS]) == ()
