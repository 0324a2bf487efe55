"""Attacks in sequence."""

import pytest
import torch
from torch import Tensor

from attacks import Chain, parse


def test_a_chain_applies_its_steps_in_order(photos: Tensor) -> None:
    expected = photos
    for step in ("jpeg=80", "brightness=1.5", "hflip"):
        expected = parse(step)(expected).images
    found = parse("jpeg=80,brightness=1.5,hflip")(photos).images
    assert torch.equal(found, expected)


def test_combination_is_the_sequence_of_the_paper(photos: Tensor) -> None:
    named = parse("combination")(photos, seed=1).images
    assert torch.equal(named, parse("jpeg=80,brightness=1.5,crop=0.5")(photos, seed=1).images)


def test_a_screenshot_is_smaller_on_a_canvas(photos: Tensor) -> None:
    result = parse("screenshot")(photos, torch.ones(2, 1, 48, 64), seed=1)
    assert result.images.shape == (2, 3, 45, 60)
    assert result.masks is not None
    assert result.masks[0].sum() == 36 * 48


def test_social_shrinks_large_images_only(photos: Tensor) -> None:
    wide = torch.zeros(1, 3, 4, 1440)
    assert parse("social")(wide).images.shape == (1, 3, 3, 1080)
    assert torch.equal(parse("social")(photos).images, parse("jpeg=70")(photos).images)


def test_originals_follow_the_steps_before(photos: Tensor) -> None:
    """What is spliced in after a crop comes from the same place of the originals."""
    originals = 1 - photos
    masks = torch.ones(2, 1, 48, 64)
    result = parse("crop_keep=0.5,proportion=0.25")(photos, masks, seed=1, originals=originals)
    window = parse("crop_keep=0.5")(photos, seed=1).images
    assert result.masks is not None
    expected = torch.where(result.masks > 0, window, 1 - window)
    assert torch.allclose(result.images, expected)
    assert 0.2 < result.masks.mean() < 0.3


def test_repeated_steps_draw_separately() -> None:
    params = parse("crop=0.5,crop=0.5").sample(2, torch.Generator().manual_seed(1))
    assert set(params) == {"0.top", "0.left", "1.top", "1.left"}
    assert not torch.equal(params["0.top"], params["1.top"])


def test_chains_in_chains_are_legal(photos: Tensor) -> None:
    attack = parse("combination,social")
    assert repr(attack) == "combination,social"
    assert attack(photos, seed=1).images.shape == photos.shape


def test_an_empty_chain_is_refused() -> None:
    with pytest.raises(ValueError, match="identity"):
        Chain(())
