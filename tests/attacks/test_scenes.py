"""Scenes with several marks, against their ground truth and Pillow."""

import math

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage
from torch import Tensor

from attacks import Scene, collage_scene, parse, regions_scene


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def versions(count: int) -> list[Tensor]:
    return [torch.full((3, 120, 160), (index + 1) / 10) for index in range(count)]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_regions_have_their_area_and_version(count: int) -> None:
    scene = regions_scene(versions(count), torch.zeros(3, 120, 160), count=count, area=0.1, generator=seeded(count))
    assert scene.masks.shape == (count, 120, 160)
    assert scene.masks.mean((1, 2)).tolist() == pytest.approx([0.1] * count, abs=0.003)
    assert scene.masks.sum(0).max() == 1
    painted = sum(mask * (index + 1) / 10 for index, mask in enumerate(scene.masks))
    assert torch.allclose(scene.image, torch.as_tensor(painted).expand(3, 120, 160))


def test_five_regions_of_a_tenth_always_fit() -> None:
    original = torch.zeros(3, 64, 96)
    marked = [original] * 5
    for seed in range(60):
        regions_scene(marked, original, count=5, area=0.1, generator=seeded(seed))


def test_regions_that_cannot_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="no room"):
        regions_scene(versions(3), torch.zeros(3, 120, 160), count=3, area=0.4)


@pytest.mark.parametrize(("marked", "count"), [(versions(1), 2), ([torch.zeros(3, 120, 161)], 1)])
def test_wrong_versions_are_refused(marked: list[Tensor], count: int) -> None:
    with pytest.raises(ValueError, match="expected"):
        regions_scene(marked, torch.zeros(3, 120, 160), count=count, area=0.1)


def collage(seed: int, count: int = 3) -> Scene:
    photos = [torch.full((3, 60 + 10 * index, 80), 0.8) for index in range(count)]
    return collage_scene(photos, torch.full((3, 200, 240), 0.2), generator=seeded(seed))


def test_photos_have_the_area_of_their_scale() -> None:
    scene = collage(1)
    for index, (mask, placement) in enumerate(zip(scene.masks, scene.placements, strict=True)):
        expected = round((60 + 10 * index) * placement.scale) * round(80 * placement.scale)
        assert mask.sum().item() == pytest.approx(expected, rel=0.02)
        assert 0.4 <= placement.scale <= 1 and 0 <= placement.rotation_deg <= 10
        outside = mask.clone()
        outside[placement.box.index] = 0
        assert outside.sum() == 0


def test_photos_do_not_overlap() -> None:
    for seed in range(10):
        assert collage(seed).masks.sum(0).max() == 1


def test_edges_are_blended_by_coverage() -> None:
    """All of the photos' light arrives, to a tenth of a percent, whatever their angle."""
    scene = collage(2, count=1)
    placement = scene.placements[0]
    area = round(60 * placement.scale) * round(80 * placement.scale)
    light = (scene.image[0].double() - 0.2).sum() / 0.6
    assert light.item() == pytest.approx(area, rel=0.001)


def test_an_upright_photo_is_copied(photos: Tensor) -> None:
    scene = collage_scene(
        [photos[0]],
        torch.zeros(3, 80, 90),
        scale_range=(1, 1),
        rotation_range=(0, 0),
        generator=seeded(3),
    )
    box = scene.placements[0].box
    assert torch.equal(scene.image[box.index], photos[0])
    assert torch.equal(scene.masks[0], box.mask((80, 90)))


@pytest.mark.parametrize("degrees", [0.0, 10.0, -30.0, 90.0])
def test_turned_photos_agree_with_scipy(degrees: float, photos: Tensor) -> None:
    scene = collage_scene(
        [photos[0]],
        torch.zeros(3, 100, 110),
        scale_range=(1, 1),
        rotation_range=(degrees, degrees),
        generator=seeded(4),
    )
    box = scene.placements[0].box
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    matrix = np.array([[cosine, sine], [-sine, cosine]])
    offset = np.array([23.5, 31.5]) - matrix @ np.array([box.height - 1, box.width - 1]) / 2
    smooth = ndimage.gaussian_filter(photos[0].numpy(), (0, 2, 2))
    expected = ndimage.affine_transform(smooth[0], matrix, offset, (box.height, box.width))
    found = ndimage.gaussian_filter(scene.image[(0, *box.index[1:])].numpy(), 2)
    inside = ndimage.binary_erosion(scene.masks[(0, *box.index[1:])].numpy() > 0, iterations=7)
    assert inside.sum() > 500
    assert np.abs(found - expected)[inside].max() < 0.01


def test_scaled_photos_agree_with_pillow(photos: Tensor) -> None:
    planes = [
        np.array(Image.fromarray(plane).resize((32, 24), Image.Resampling.BICUBIC)) for plane in photos[0].numpy()
    ]
    scene = collage_scene(
        [photos[0]],
        torch.zeros(3, 60, 60),
        scale_range=(0.5, 0.5),
        rotation_range=(0, 0),
        generator=seeded(5),
    )
    found = scene.image[scene.placements[0].box.index]
    assert np.allclose(found.numpy(), np.stack(planes).clip(0, 1), atol=1e-5)


def test_the_same_generator_gives_the_same_scene() -> None:
    first, second = collage(6), collage(6)
    assert torch.equal(first.image, second.image)
    assert first.placements == second.placements
    assert collage(7).placements != first.placements


def test_photos_too_large_are_refused() -> None:
    with pytest.raises(ValueError, match="no room"):
        collage_scene([torch.zeros(3, 90, 90)], torch.zeros(3, 30, 30))


def test_a_scene_takes_any_attack() -> None:
    scene = collage(8)
    result = parse("hflip,jpeg=85")(scene.image[None], scene.masks[None])
    assert result.masks is not None
    assert torch.equal(result.masks[0], scene.masks.flip(2))
