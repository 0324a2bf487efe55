"""The pictures that are read, and their truth."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.wam.bench.doubles import Brightener, photos_in
from wam.bench.photos import ImageSet
from wam.bench.rows import choose_rows
from wam.bench.views import Stage, View
from wam.bench.words import WordBook
from wam.errors import ImageError

BOOK = WordBook.of(0)


@pytest.fixture
def images(tmp_path: Path) -> ImageSet:
    return photos_in(tmp_path / "photos", 3)


def stage(images: ImageSet, *, seed: int = 0) -> Stage:
    return Stage(images, Brightener(), BOOK, seed=seed, strength=None)


def view(images: ImageSet, name: str, photo: int = 0, *, seed: int = 0) -> View:
    return stage(images, seed=seed).view(choose_rows(name)[0], photo)


def test_a_row_gives_the_marked_photo_after_its_attack(images: ImageSet) -> None:
    found = view(images, "hflip", 1)
    assert torch.equal(found.image, stage(images).marked(1).flip(3))
    assert found.truths.all() and found.words == (BOOK.word(1),)


@pytest.mark.parametrize("name", ["crop=0.5", "gaussian_noise=0.05", "collage=0.25", "multi=3", "composite=2"])
def test_views_depend_on_the_seed_alone(images: ImageSet, name: str) -> None:
    busy = stage(images)
    busy.view(choose_rows("crop=0.1")[0], 0)
    assert torch.equal(busy.view(choose_rows(name)[0], 0).image, view(images, name).image)
    assert not torch.equal(view(images, name).image, view(images, name, seed=1).image)


@pytest.mark.parametrize("name", ["posterize=4", "rotate=10", "composite=2", "unmarked+resize=0.5"])
def test_pictures_hold_8_bit_values(images: ImageSet, name: str) -> None:
    levels = view(images, name).image * 255
    assert torch.allclose(levels, levels.round(), atol=1e-4)


def test_the_truth_follows_a_splice(images: ImageSet) -> None:
    found = view(images, "collage=0.25")
    assert found.truths.float().mean().item() == pytest.approx(0.25, abs=0.02)
    inside = found.truths[0].expand(3, -1, -1)
    assert torch.equal(found.image[0][inside], stage(images).marked(0)[0][inside])


def test_scenes_have_a_word_for_each_mark(images: ImageSet) -> None:
    found = view(images, "multi=4", 2)
    assert found.truths.shape[0] == 4 and len(set(found.words)) == 4
    assert found.words == tuple(BOOK.word(2, mark) for mark in range(4))
    pasted = view(images, "composite=4")
    assert len(set(pasted.words)) == 4 and pasted.image.shape[-1] > images.photo(0).shape[-1]


def test_pictures_without_a_mark(images: ImageSet) -> None:
    found = view(images, "unmarked")
    assert torch.equal(found.image, images.photo(0)) and found.words == () and len(found.truths) == 0
    wrong = view(images, "wrong_key")
    assert torch.equal(wrong.image, stage(images).marked(0)) and wrong.words == () and wrong.other_key


def test_a_photo_alone_is_its_own_foreign_photo(tmp_path: Path) -> None:
    images = photos_in(tmp_path / "one", 1)
    found = view(images, "collage=0.1")
    outside = ~found.truths[0].expand(3, -1, -1)
    assert torch.equal(found.image[0][outside], images.photo(0).flip(3)[0][outside])


def test_unreadable_neighbours_are_passed_over(tmp_path: Path) -> None:
    photos_in(tmp_path / "photos", 3)
    (tmp_path / "photos" / "1.png").write_bytes(b"no picture")
    images = ImageSet.of([str(tmp_path / "photos")])
    assert images.readable(1) == 2
    assert view(images, "collage=0.25").image.shape == images.photo(0).shape


def test_image_sets_know_their_content(tmp_path: Path) -> None:
    first = photos_in(tmp_path / "a", 2)
    assert first.digest == photos_in(tmp_path / "b", 2).digest != photos_in(tmp_path / "c", 3).digest
    assert ImageSet.of([str(tmp_path / "a")], size=64).digest != first.digest
    assert [first.photo_name(0), first.photo_name(3)] == ["0.png", "1.png"]


def test_size_reduces_larger_photos_only(tmp_path: Path) -> None:
    photos_in(tmp_path / "a", 1)
    assert ImageSet.of([str(tmp_path / "a")], size=64).photo(0).shape[-2:] == (64, 72)
    assert ImageSet.of([str(tmp_path / "a")], size=500).photo(0).shape[-2:] == (128, 144)


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="expected pictures, found none"):
        ImageSet.of([str(tmp_path)])


def test_the_packaged_photos_are_there() -> None:
    images = ImageSet.packaged()
    assert len(images) == 6 and min(images.photo(0).shape[-2:]) == 512
