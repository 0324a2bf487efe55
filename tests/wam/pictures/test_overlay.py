"""Overlays: what is drawn, where, what is left alone, and whether a person can tell it apart."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.color import rgb2lab

from wam.pictures.overlay import COLOURS, font, overlay
from wam.region import Region

PIXELS = np.full((200, 300, 3), 120, np.uint8)
SQUARE = Region((100, 60, 100, 100), 1 / 6, (((100, 60), (200, 60), (200, 160), (100, 160)),))
CORNER = Region((260, 180, 40, 20), 0.01, (((260, 180), (300, 180), (300, 200), (260, 200)),))
TINY = Region((150, 100, 6, 6), 0.001, (((150, 100), (156, 100), (156, 106), (150, 106)),))
CAPTION = "123 · acme\nwm:7Q3F-K2ND\nverified, chance 1e-9"

# linear sRGB as seen without one kind of cones: Machado, Oliveira and Fernandes (2009), severity 1
VISIONS = {
    "usual": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}


def drawn(*regions: Region, pixels: np.ndarray = PIXELS, caption: str = "") -> np.ndarray:
    return np.asarray(overlay(pixels, regions, [caption] * len(regions)))


def plate_on(pixels: np.ndarray) -> np.ndarray:
    """The caption of a mark without outline, cut out of the picture."""
    whole = Region((0, 0, pixels.shape[1], pixels.shape[0]), 0.0, ())
    picture = drawn(whole, pixels=pixels, caption=CAPTION)
    (top, left), (bottom, right) = (f(np.argwhere((picture != pixels).any(-1)), axis=0) for f in (np.min, np.max))
    return picture[top : bottom + 1, left : right + 1]


def test_nothing_found_is_the_picture_itself() -> None:
    np.testing.assert_array_equal(drawn(), PIXELS)


def test_the_region_is_outlined_and_its_colours_stay() -> None:
    picture = drawn(SQUARE)
    assert (picture[:, :70] == 120).all() and (picture[:40] == 120).all()
    assert tuple(picture[110, 198]) == COLOURS[0]
    assert (picture[70:150, 110:190] == 120).all()


def test_regions_that_touch_keep_a_line_each() -> None:
    left = Region((20, 60, 80, 100), 0.1, (((20, 60), (100, 60), (100, 160), (20, 160)),))
    picture = drawn(SQUARE, left)
    row = {tuple(pixel) for pixel in picture[140, 90:110].tolist()}
    assert {COLOURS[0], COLOURS[1]} <= row


def test_the_caption_is_written_inside_the_picture() -> None:
    bare = Region(CORNER.bbox, CORNER.area, ())
    changed = np.argwhere((drawn(bare, caption=CAPTION) != PIXELS).any(-1))
    assert len(changed) > 150
    assert changed[:, 0].max() < 199 and changed[:, 1].max() < 299  # its border is all there


@pytest.mark.parametrize("level", [0, 128, 255])
def test_text_is_light_on_dark_on_every_picture(level: int) -> None:
    plate = plate_on(np.full((300, 400, 3), level, np.uint8)).min(-1)
    assert (plate > 160).mean() > 0.05  # letters
    assert (plate < 90).mean() > 0.6  # what they stand on


def extent(picture: np.ndarray, pixels: np.ndarray) -> int:
    """Pixels of the box around all that was drawn."""
    (top, left), (bottom, right) = (f(np.argwhere((picture != pixels).any(-1)), axis=0) for f in (np.min, np.max))
    return int((bottom + 1 - top) * (right + 1 - left))


@pytest.mark.parametrize("side", [20, 60, 120, 250, 600])
def test_a_caption_is_at_most_a_third_of_its_region(side: int) -> None:
    pixels = np.full((900, 1440, 3), 120, np.uint8)
    bare = Region((400, 300, side, side), side * side / (900 * 1440), ())  # without outline, so that only it is drawn
    drawn_on = extent(drawn(bare, pixels=pixels, caption=CAPTION), pixels)
    number = extent(drawn(Region((400, 300, 6, 6), 0.0, ()), pixels=pixels, caption=""), pixels)
    assert drawn_on <= max(side * side / 3, number)
    if side >= 120:
        assert drawn_on > 4 * number  # there is text, not only the number


def test_text_grows_with_the_picture() -> None:
    heights = []
    for factor in (1, 3):
        heights.append(len(plate_on(np.full((400 * factor, 600 * factor, 3), 90, np.uint8))))
    assert heights[1] / heights[0] == pytest.approx(3, rel=0.25)


def test_a_tiny_region_is_not_hidden_by_its_caption() -> None:
    pixels = np.full((400, 400, 3), 120, np.uint8)
    picture = drawn(TINY, pixels=pixels, caption=CAPTION)
    assert (picture[99:107, 149:157] == COLOURS[0]).all(-1).any()


def test_where_there_is_no_room_the_number_stays() -> None:
    pixels = np.full((64, 64, 3), 120, np.uint8)
    whole = Region((0, 0, 64, 64), 1.0, (((0, 0), (64, 0), (64, 64), (0, 64)),))
    np.testing.assert_array_equal(
        drawn(whole, pixels=pixels, caption=CAPTION), drawn(whole, pixels=pixels, caption="of another name" * 9)
    )
    assert (drawn(whole, pixels=pixels)[4:20, 4:20] == 0).all(-1).any()  # the number, black on its colour


def test_each_region_has_a_colour_of_its_own() -> None:
    shifted = Region((20, 60, 60, 100), 0.1, (((20, 60), (80, 60), (80, 160), (20, 160)),))
    picture = drawn(SQUARE, shifted)
    assert tuple(picture[110, 198]) == COLOURS[0]
    assert tuple(picture[150, 22]) == COLOURS[1]


@pytest.mark.parametrize("vision", VISIONS)
def test_twelve_colours_are_told_apart(vision: str) -> None:
    assert len(COLOURS) == 12
    levels = np.array(COLOURS) / 255
    linear = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    seen = (linear @ VISIONS[vision].T).clip(0, 1)
    lab = rgb2lab(np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055)[None])[0]
    apart = np.linalg.norm(lab[:, None] - lab[None], axis=-1)[np.triu_indices(12, 1)]
    assert apart.min() > 15  # of CIE Lab, where 2.3 is just noticeable


def test_more_regions_than_colours_can_be_drawn() -> None:
    assert drawn(*[SQUARE] * (len(COLOURS) + 1), caption=CAPTION).shape == PIXELS.shape


def test_a_region_without_polygons_is_only_captioned() -> None:
    empty = Region((100, 60, 0, 0), 0.0, ())
    picture = drawn(empty, caption="123")
    assert (picture[120:] == 120).all() and (picture != 120).any()


def test_names_with_accents_and_in_greek_and_cyrillic_have_letters() -> None:
    missing = bytes(font(20).getmask("\uffff"))
    assert not any(bytes(font(20).getmask(letter)) == missing for letter in "éŁßΩЖя·…")


def test_the_pixels_given_are_left_alone() -> None:
    before = PIXELS.copy()
    drawn(SQUARE)
    np.testing.assert_array_equal(PIXELS, before)
