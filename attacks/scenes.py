"""Scenes with several marked parts and their ground truth, for the protocol's multi rows.

A scene is followed by any attack: ``attack(scene.image[None], scene.masks[None])``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from attacks import rectangles
from attacks.rectangles import Box

LAYOUTS = 100  # random layouts that are tried before a scene is given up as too full


@dataclass(frozen=True)
class Placement:
    """Where a marked part went: its bounding box in the scene, and how it was scaled and turned.

    ``rotation_deg`` is counter-clockwise. Parts that stay where they were have scale 1, rotation 0.
    """

    box: Box
    scale: float = 1.0
    rotation_deg: float = 0.0


@dataclass(frozen=True)
class Scene:
    """An image (3, H, W) in [0, 1], and its n marked parts: binary masks (n, H, W), placements."""

    image: Tensor
    masks: Tensor
    placements: tuple[Placement, ...]


def regions_scene(
    marked: Sequence[Tensor],
    original: Tensor,
    *,
    count: int,
    area: float,
    generator: torch.Generator | None = None,
) -> Scene:
    """Put ``count`` rectangles, each of the share ``area``, into a picture, from marked versions of it.

    ``original`` and the versions ``marked`` are (3, H, W). Rectangle i shows version i, in its place;
    none overlap.
    """
    if any(version.shape != original.shape for version in marked):
        found = [tuple(version.shape) for version in marked]
        raise ValueError(f"expected versions of the shape {tuple(original.shape)}, found {found}")
    if not 0 <= count <= len(marked):
        raise ValueError(f"expected a count from 0 to {len(marked)}, found {count}; mark more versions")
    size = (original.shape[1], original.shape[2])

    def draft() -> list[Placement]:
        shapes = _draw(count, generator)
        return [Placement(Box(0, 0, *rectangles.sides(size, area, shape))) for shape in shapes]

    placements = _arrange(draft, size, generator)
    image = original.clone()
    masks = original.new_zeros(count, *size)
    for version, mask, placement in zip(marked[:count], masks, placements, strict=True):
        place = placement.box.index
        image[place] = version[place]
        mask[place] = 1
    return Scene(image, masks, placements)


def collage_scene(
    photos: Sequence[Tensor],
    background: Tensor,
    *,
    scale_range: tuple[float, float] = (0.4, 1.0),
    rotation_range: tuple[float, float] = (0.0, 10.0),
    generator: torch.Generator | None = None,
) -> Scene:
    """Paste marked photos on a background, scaled and rotated (degrees) at random, without overlap.

    Photos (3, h, w) are scaled with anti-aliasing, turned bicubically, and blended by the share of
    each pixel that they cover; masks are 1 where that is half or more. A draw that leaves no room
    is drawn again, so crowded scenes have smaller photos.
    """
    size = (background.shape[1], background.shape[2])

    def draft() -> list[Placement]:
        scales = _uniform(scale_range, len(photos), generator)
        angles = _uniform(rotation_range, len(photos), generator)
        return [_turned(*pose) for pose in zip(photos, scales, angles, strict=True)]

    placements = _arrange(draft, size, generator)
    image = background.clone()
    masks = background.new_zeros(len(photos), *size)
    for photo, mask, placement in zip(photos, masks, placements, strict=True):
        layer, cover = _turn(photo.to(background), placement)
        place = placement.box.index
        image[place] = torch.lerp(image[place], layer, cover)
        mask[place] = (cover[0] >= 0.5).to(mask)
    return Scene(image, masks, placements)


def _arrange(
    draft: Callable[[], list[Placement]],
    size: tuple[int, int],
    generator: torch.Generator | None,
) -> tuple[Placement, ...]:
    """Draw placements until there is a layout of ``size`` in which all their boxes find a place."""
    for _ in range(LAYOUTS):
        parts = draft()
        boxes = _place([part.box for part in parts], size, generator)
        if boxes is not None:
            return tuple(replace(part, box=box) for part, box in zip(parts, boxes, strict=True))
    raise ValueError(f"expected {len(parts)} parts that fit {size} side by side, found no room; shrink them")


def _draw(count: int, generator: torch.Generator | None) -> list[float]:
    device = "cpu" if generator is None else generator.device
    numbers = torch.rand(count, generator=generator, device=device, dtype=torch.float64)
    return list(numbers.tolist())


def _uniform(bounds: tuple[float, float], count: int, generator: torch.Generator | None) -> list[float]:
    return [bounds[0] + (bounds[1] - bounds[0]) * number for number in _draw(count, generator)]


def _place(shapes: Sequence[Box], size: tuple[int, int], generator: torch.Generator | None) -> list[Box] | None:
    """Move each box to a place drawn from all that are free, the largest first; None if none is."""
    order = sorted(range(len(shapes)), key=lambda index: -shapes[index].height * shapes[index].width)
    boxes: dict[int, Box] = {}
    for index, number in zip(order, _draw(len(shapes), generator), strict=True):
        height, width = shapes[index].height, shapes[index].width
        free = np.ones((max(0, size[0] - height + 1), max(0, size[1] - width + 1)), dtype=bool)
        for box in boxes.values():
            top, left = max(0, box.top - height + 1), max(0, box.left - width + 1)
            free[top : box.top + box.height, left : box.left + box.width] = False
        places = np.flatnonzero(free)
        if not len(places):
            return None
        top, left = divmod(int(places[int(number * len(places))]), free.shape[1])
        boxes[index] = Box(top, left, height, width)
    return [boxes[index] for index in range(len(shapes))]


def _scaled_size(photo: Tensor, scale: float) -> tuple[int, int]:
    height, width = photo.shape[1:]
    return max(1, round(height * scale)), max(1, round(width * scale))


def _turned(photo: Tensor, scale: float, degrees: float) -> Placement:
    """A placement whose box, rounded up to whole pixels, holds the photo scaled and turned."""
    sine, cosine = abs(math.sin(math.radians(degrees))), abs(math.cos(math.radians(degrees)))
    height, width = _scaled_size(photo, scale)
    slack = 1e-6  # pixels: the cosine of a quarter turn is 6e-17, not 0
    turned_height = math.ceil(height * cosine + width * sine - slack)
    turned_width = math.ceil(width * cosine + height * sine - slack)
    return Placement(Box(0, 0, turned_height, turned_width), scale, degrees)


def _resize(photo: Tensor, size: tuple[int, int]) -> Tensor:
    if tuple(photo.shape[1:]) == size:
        return photo
    scaled = F.interpolate(photo[None], size, mode="bicubic", antialias=True, align_corners=False)
    return scaled[0].clamp(0, 1)


def _turn(photo: Tensor, placement: Placement) -> tuple[Tensor, Tensor]:
    """A photo scaled and turned on a canvas of its box, and the share of each pixel it covers."""
    photo = _resize(photo, _scaled_size(photo, placement.scale))
    if placement.rotation_deg == 0:
        return photo, photo.new_ones(1, *photo.shape[1:])
    angle, box = math.radians(placement.rotation_deg), placement.box
    y = torch.arange(box.height, dtype=torch.float64)[:, None] + 0.5 - box.height / 2
    x = torch.arange(box.width, dtype=torch.float64)[None] + 0.5 - box.width / 2
    across = math.cos(angle) * x - math.sin(angle) * y
    down = math.sin(angle) * x + math.cos(angle) * y
    height, width = photo.shape[1:]
    grid = torch.stack([across * 2 / width, down * 2 / height], dim=-1)[None].to(photo)
    turned = F.grid_sample(photo[None], grid, mode="bicubic", padding_mode="border", align_corners=False)
    cover_x = (width / 2 + 0.5 - across.abs()).clamp(0, 1)
    cover_y = (height / 2 + 0.5 - down.abs()).clamp(0, 1)
    return turned[0].clamp(0, 1), (cover_x * cover_y)[None].to(photo)
