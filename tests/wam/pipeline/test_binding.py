"""Marks that were copied, whole and in part, against parts of the picture that was marked."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from attacks import parse
from wam.pipeline.binding import UNBOUND, agreement, compare_part, part_of, sketch_of
from wam.signal.filters import to_pixels
from wam.watermarker import Watermarker, load, to_batch

BITS = "0110" * 8
PARTS = (
    "identity",
    "crop_keep=0.6",
    "crop_keep=0.6,hflip",
    "rotate=20,jpeg=80",
    "crop_keep=0.25",
    "resize=0.6,jpeg=70",
)


@pytest.fixture(scope="module")
def pictures(dragonfly: Image.Image, dune: Image.Image) -> dict[str, np.ndarray]:
    """A photo, marked as by 0.2.0, and its residual on another one: of two marks of one message that lie side by side
    the surer one is now and then taken for both, and more often so of today's."""
    own, other = np.asarray(dragonfly), np.asarray(dune)
    marked = np.asarray(load("lattice32-0.2", device="cpu").embed(own, BITS).image)
    rows, columns = (min(sides) for sides in zip(own.shape[:2], other.shape[:2], strict=True))
    residual = marked.astype(int) - own
    forged = (other[:rows, :columns] + residual[:rows, :columns]).clip(0, 255).astype(np.uint8)
    return {"own": marked, "other": forged}


@pytest.mark.parametrize("kind", ["own", "other"])
@pytest.mark.parametrize("attack", PARTS)
def test_parts_are_told_by_their_surroundings(
    shipped: Watermarker, pictures: dict[str, np.ndarray], attack: str, kind: str
) -> None:
    sketch = sketch_of(pictures["own"])
    shown = to_pixels(parse(attack)(to_batch(pictures[kind]), seed=3).images[0].clamp(0, 1))
    (found,) = shipped.detect(shown)
    assert found.bits == BITS
    smooth = (kind, attack) == ("other", "crop_keep=0.25")  # a part of sand and sky, where too little can be compared
    compared = compare_part(part_of(shown, found), sketch)
    assert (compared.binding, compared.means) == (("unbound", None) if smooth else (kind, "sketch"))


def test_each_mark_of_a_collage_is_compared_for_itself(shipped: Watermarker, pictures: dict[str, np.ndarray]) -> None:
    sketch = sketch_of(pictures["own"])
    rows = min(len(picture) for picture in pictures.values())

    def told(width: int, gap: int) -> list[str]:
        first, second = (picture[:rows, :width] for picture in pictures.values())
        collage = np.concatenate([first, np.full((rows, gap, 3), 128, np.uint8), second], axis=1)
        return [compare_part(part_of(collage, one), sketch).binding for one in shipped.detect(collage)]

    apart = told(300, 48)  # the second pattern does not go on where the first ends
    assert len(apart) == 2 and apart.count("own") == 1
    assert "own" not in told(330, 0)  # seven tiles: both patterns are one, and half of it lies on another picture


def test_nothing_is_said_where_nothing_was_kept_or_nothing_shows(
    shipped: Watermarker, pictures: dict[str, np.ndarray]
) -> None:
    shown = pictures["own"]
    (found,) = shipped.detect(shown)
    part = part_of(shown, found)
    assert compare_part(part, None) == compare_part(None, sketch_of(shown)) == UNBOUND
    assert agreement(part, None) is None
    assert part is not None
    cells, seen = part
    assert compare_part((np.full_like(cells, 128.0), seen), sketch_of(shown)) == UNBOUND


def test_a_picture_too_small_for_cells_has_no_sketch() -> None:
    assert sketch_of(np.zeros((12, 200, 3), np.uint8)) is None
