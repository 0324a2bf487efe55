"""Training photos: what is read, skipped and refused, and random crops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.wam.synthetic import smooth_picture
from wam.training.photos import MINIMUM, SHORT_SIDE, Photos, Square, Stack


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """40 pictures whose names sort as they are numbered, each of a grey of its own."""
    for number in range(40):
        Image.new("RGB", (80, 64), (number, number, number)).save(tmp_path / f"{number:02}.png")
    return tmp_path


def greys(photos: Photos) -> list[int]:
    return [int(picture[0, 0, 0]) for picture in photos.pictures]


def test_validation_and_training_pictures_do_not_meet(folder: Path) -> None:
    training, validation = (Photos.load(folder, validation=flag) for flag in (False, True))
    assert greys(validation) == [7, 39]
    assert sorted(greys(training) + greys(validation)) == greys(Photos.load(folder)) == list(range(40))


def test_folders_are_recursed_and_other_files_ignored(folder: Path) -> None:
    (folder / "deep").mkdir()
    Image.new("RGB", (80, 64), "white").save(folder / "deep" / "z.JPG")
    (folder / "notes.txt").write_text("not a picture")
    photos = Photos.load(folder)
    assert len(photos.pictures) == 41 and not photos.skipped


def test_a_limit(folder: Path) -> None:
    assert greys(Photos.load(folder, limit=9)) == list(range(9))


def test_unreadable_and_tiny_pictures_are_skipped_and_counted(folder: Path) -> None:
    (folder / "a.jpg").write_bytes(b"not a picture")
    (folder / "b.png").write_bytes((folder / "00.png").read_bytes()[:60])
    Image.new("RGB", (500, 63)).save(folder / "c.png")
    photos = Photos.load(folder)
    assert len(photos.pictures) == 40
    assert [line.split(":")[0] for line in photos.skipped] == ["a.jpg", "b.png", "c.png"]
    assert "short side of at least 64 px, found 63" in photos.skipped[2]


def test_too_few_pictures_are_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match=rf"expected at least {MINIMUM} readable pictures, found 7 \(0 unreadable\)"):
        Photos.load(folder, limit=7)


def test_large_pictures_are_reduced_while_loading(folder: Path) -> None:
    Image.new("L", (1600, 800)).save(folder / "large.png")
    largest = max(Photos.load(folder).pictures, key=lambda picture: picture.size)
    assert largest.shape == (SHORT_SIDE, 2 * SHORT_SIDE, 3)


def test_crops_are_squares_of_the_size_asked() -> None:
    photos = Photos([smooth_picture(100, 150)])
    crop = photos.crop(64, np.random.default_rng(0))
    assert crop.shape == (3, 64, 64) and crop.dtype == torch.float32
    assert 0 <= float(crop.min()) < float(crop.max()) <= 1


def test_small_pictures_are_enlarged() -> None:
    assert Photos([smooth_picture(64, 64)]).crop(208, np.random.default_rng(0)).shape == (3, 208, 208)


def test_the_same_generator_state_is_the_same_crop() -> None:
    photos = Photos([smooth_picture(100, 150), smooth_picture(150, 100, seed=1)])
    first, second, other = (photos.crop(64, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert torch.equal(first, second) and not torch.equal(first, other)


def test_crops_are_mirrored_half_of_the_time() -> None:
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[:, 32:] = 255
    generator = np.random.default_rng(0)
    bright_right = [float(Photos([picture]).crop(64, generator)[..., 40:].mean()) > 0.5 for _ in range(60)]
    assert 15 < sum(bright_right) < 45


def test_a_pattern_for_a_smaller_working_side_is_coarser_beside_the_content() -> None:
    """Half the side: the same square holds twice as much of the picture each way."""
    ramp = np.repeat(np.tile(np.linspace(0, 255, 400).astype(np.uint8), (400, 1))[..., None], 3, axis=2)
    spans = []
    for side in (256, 128):
        crop = Photos([ramp]).crop(64, np.random.default_rng(5), working_side=side)
        spans.append(float(crop.max() - crop.min()))
    assert spans[1] == pytest.approx(2 * spans[0], rel=0.1)


@pytest.mark.parametrize(("side", "mirrored"), [(96, False), (96, True), (70, False), (140, True)])
def test_squares_are_cut_from_the_stack_as_by_pillow(side: int, mirrored: bool) -> None:
    pictures = [smooth_picture(200, 150, seed=0), smooth_picture(160, 210, seed=1)]
    for picture in pictures:  # something to see the place by
        picture[40:90, 30:100] //= 2
    photos, squares = Photos(pictures), [Square(0, 7, 9, side, mirrored), Square(1, 20, 33, side, mirrored)]
    together = Stack.of(pictures, "cpu").cut(squares, 96)
    one_by_one = torch.stack([photos.cut(square, 96) for square in squares])
    assert together.shape == (2, 3, 96, 96)
    apart = (together - one_by_one).abs() * 255
    assert float(apart.mean()) < 0.7 and float(apart.max()) < 40


def test_a_batch_is_what_single_crops_are() -> None:
    photos = Photos([smooth_picture(200, 150, seed=seed) for seed in range(3)])
    together = photos.crops(3, 64, np.random.default_rng(5))
    generator = np.random.default_rng(5)
    assert torch.equal(together, torch.stack([photos.crop(64, generator) for _ in range(3)]))


def test_pictures_are_put_on_a_device_once() -> None:
    photos = Photos([smooth_picture(80, 90), smooth_picture(100, 70)])
    assert photos.stacked("cpu") is photos.stacked("cpu") and photos.stacked("cpu").pixels.shape == (2, 3, 100, 90)
