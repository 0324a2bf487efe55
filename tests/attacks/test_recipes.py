"""The scenes of the protocol by name."""

import doctest

import pytest
import torch
from torch import Tensor

from attacks import Recipe, composite, parse_recipe, recipe_names, recipes, regions_scene, scene_suite


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def versions(count: int) -> list[Tensor]:
    return [torch.full((3, 120, 160), (index + 4) / 16) for index in range(count)]


BACKGROUND = torch.full((3, 120, 160), 0.125)


def test_names_read_back() -> None:
    assert [parse_recipe(repr(recipe)) for recipe in scene_suite()] == list(scene_suite())
    beyond_the_protocol = {"composite_turned"}
    assert {recipe.name for recipe in scene_suite()} == set(recipe_names()) - beyond_the_protocol


@pytest.mark.parametrize("text", ["multi", "multi=", "multi=0", "multi=10", "multi=2.5", "composit=2", ""])
def test_what_is_not_legal_is_said(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_recipe(text)


def test_a_plain_scene_is_its_regions() -> None:
    found = composite("multi=3", versions(4), BACKGROUND, generator=seeded(1))
    plain = regions_scene(versions(3), BACKGROUND, count=3, area=0.1, generator=seeded(1))
    assert torch.equal(found.image, plain.image) and torch.equal(found.masks, plain.masks)


def test_the_flip_moves_truth_and_pixels_together() -> None:
    plain = composite("multi=2", versions(2), BACKGROUND, generator=seeded(2))
    found = composite("multi_flip=2", versions(2), BACKGROUND, generator=seeded(2))
    assert torch.equal(found.masks, plain.masks.flip(2))
    inside = found.image[0][found.masks[1] > 0]
    assert inside.unique().numel() == 1 and inside[0] > found.image[0][found.masks.sum(0) == 0].max()


@pytest.mark.parametrize("name", ["multi_jpeg", "composite"])
def test_codecs_change_pixels_and_not_the_truth(name: str) -> None:
    photos = [torch.rand(3, 60, 80, generator=seeded(9)) for _ in range(2)]
    marked = photos if name == "composite" else versions(2)
    scene = composite(Recipe(name, 2), marked, BACKGROUND, generator=seeded(3))
    levels = scene.image * 255
    assert torch.allclose(levels, levels.round(), atol=1e-3)
    assert set(scene.masks.unique().tolist()) == {0.0, 1.0} and scene.masks.sum(0).max() == 1


def test_a_pasted_scene_holds_whole_photos_at_their_placements() -> None:
    scene = composite("composite=2", [torch.full((3, 60, 80), 0.75)] * 2, BACKGROUND, generator=seeded(4))
    for mask, placement in zip(scene.masks, scene.placements, strict=True):
        assert 0.4 <= placement.scale <= 1 and 0 <= placement.rotation_deg <= 10
        assert scene.image[:, mask > 0].mean().item() == pytest.approx(0.75, abs=0.03)


def test_pasted_photos_are_turned_by_any_angle_where_that_is_asked_for() -> None:
    photos = [torch.full((3, 40, 60), 0.75)] * 4
    scenes = [composite("composite_turned=4", photos, BACKGROUND, generator=seeded(seed)) for seed in range(6)]
    angles = [placement.rotation_deg for scene in scenes for placement in scene.placements]
    assert all(any(low <= angle < low + 90 for angle in angles) for low in (0, 90, 180, 270))
    assert max(angles) < 360 and scenes[0].masks.shape[0] == 4


def test_the_same_generator_gives_the_same_scene() -> None:
    scenes = [composite("multi_jpeg=4", versions(4), BACKGROUND, generator=seeded(5)) for _ in range(2)]
    assert torch.equal(scenes[0].image, scenes[1].image)
    other = composite("multi_jpeg=4", versions(4), BACKGROUND, generator=seeded(6))
    assert not torch.equal(other.image, scenes[0].image)


def test_too_few_marked_pictures_are_refused() -> None:
    with pytest.raises(ValueError, match="expected 3 marked pictures, found 2"):
        composite("multi=3", versions(2), BACKGROUND)


def test_examples_in_docstrings_run() -> None:
    results = doctest.testmod(recipes)
    assert results.attempted > 0 and results.failed == 0
