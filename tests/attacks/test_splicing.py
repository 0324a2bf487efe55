"""What is kept, what is put in, and the masks that tell them apart."""

import pytest
import torch
from torch import Tensor

from attacks import parse

MARKED = torch.ones(2, 3, 60, 90)
MASKS = torch.ones(2, 1, 60, 90)


def kept(result_masks: Tensor | None) -> Tensor:
    assert result_masks is not None
    return result_masks[:, 0] > 0


@pytest.mark.parametrize("area", [0.1, 0.25])
def test_proportion_keeps_a_centred_part(area: float) -> None:
    result = parse(f"proportion={area}")(MARKED, MASKS, originals=torch.zeros_like(MARKED))
    inside = kept(result.masks)[0]
    assert inside.float().mean().item() == pytest.approx(area, rel=0.05)
    rows, columns = inside.any(1).nonzero(), inside.any(0).nonzero()
    assert abs(rows.float().mean().item() - 29.5) <= 0.5
    assert abs(columns.float().mean().item() - 44.5) <= 0.5
    assert torch.equal(result.images[0, 0] > 0, inside)


def test_proportion_asks_for_the_originals() -> None:
    with pytest.raises(ValueError, match="originals="):
        parse("proportion=0.1")(MARKED)


@pytest.mark.parametrize("area", [0.1, 0.25])
def test_collage_keeps_a_random_rectangle(area: float, photos: Tensor) -> None:
    backgrounds = torch.zeros(2, 3, 30, 100)
    masks = torch.ones(2, 1, 48, 64)
    result = parse(f"collage={area}")(photos, masks, seed=1, backgrounds=backgrounds)
    for index, inside in enumerate(kept(result.masks)):
        assert inside.float().mean().item() == pytest.approx(area, rel=0.05)
        sides = (inside.any(1).sum() * inside.any(0).sum()).item()
        assert sides == inside.sum().item()
        assert torch.equal(result.images[index][:, inside], photos[index][:, inside])
        assert result.images[index][:, ~inside].max() == 0


def test_collage_backgrounds_fill_the_frame() -> None:
    backgrounds = torch.full((2, 3, 7, 13), 0.25)
    result = parse("collage=0")(MARKED, backgrounds=backgrounds)
    assert torch.allclose(result.images, torch.full_like(MARKED, 0.25))


def test_collage_without_backgrounds_takes_a_neighbour(photos: Tensor) -> None:
    originals = photos.flip(3)
    attack = parse("collage=0")
    assert torch.equal(attack(photos, originals=originals).images, originals.roll(1, 0))
    assert torch.equal(attack(photos).images, photos.roll(1, 0))


def test_collage_of_one_image_gets_a_texture(photos: Tensor) -> None:
    images = parse("collage=0")(photos[:1], seed=0).images
    assert images.std() > 0.05


def test_inpaint_replaces_the_area(photos: Tensor) -> None:
    masks = torch.ones(2, 1, 48, 64)
    result = parse("inpaint=0.3")(photos, masks, seed=2)
    inside = kept(result.masks)
    assert (~inside).float().mean((1, 2)).tolist() == pytest.approx([0.3, 0.3], abs=0.001)
    for index in range(2):
        image, photo = result.images[index], photos[index]
        assert torch.equal(image[:, inside[index]], photo[:, inside[index]])
        assert not torch.equal(image[:, ~inside[index]], photo[:, ~inside[index]])


@pytest.mark.parametrize("name", ["overlay_text", "overlay_logo"])
def test_overlay_covers_a_small_part(name: str) -> None:
    grey = torch.full((2, 3, 200, 300), 0.5)
    result = parse(name)(grey, torch.ones(2, 1, 200, 300), seed=3)
    covered = ~kept(result.masks)
    assert 0.005 < covered.float().mean() < 0.1
    changed = (result.images - grey).abs().amax(1)
    assert changed[covered].mean() > 0.3
    assert changed.mean() < 0.1


def test_a_faint_overlay_leaves_the_mask() -> None:
    result = parse("overlay_logo=0.4")(MARKED * 0.5, MASKS, seed=3)
    assert kept(result.masks).all()
    assert not torch.equal(result.images, MARKED * 0.5)
