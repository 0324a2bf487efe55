"""Attacks that replace a part of the image: what is left of the marked one is known exactly.

Every function gives what is put in, (B, 3, H, W), and the share of the marked image that each
pixel keeps, (B, 1, H, W). Masks become 0 wherever that is half or less.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from attacks import drawing, filling, geometric, noise, rectangles
from attacks.base import Batch, Kind, Params, Strength
from attacks.rectangles import Box


class SpliceKind(Kind):
    """``function(batch, [strength], **params) -> (other images, share that is kept)``."""

    def run(self, batch: Batch, strength: tuple[float, ...], params: Params) -> Batch:
        other, kept = self.function(batch, *strength, **params)
        images = torch.lerp(other.to(batch.images), batch.images, kept.to(batch.images))
        masks = batch.masks
        if masks is not None:
            masks = masks * (kept > 0.5).to(masks)
        return replace(batch, images=images, masks=masks)


def proportion(batch: Batch, area: float) -> tuple[Tensor, Tensor]:
    """Keep a centred share of the area, of the image's aspect; show the originals elsewhere."""
    if batch.originals is None:
        raise ValueError("proportion: expected the unmarked images, found none; pass originals=")
    height, width = size = _size(batch)
    inner = (round(height * area**0.5), round(width * area**0.5))
    box = Box((height - inner[0]) // 2, (width - inner[1]) // 2, *inner)
    return batch.originals, box.mask(size).expand(len(batch.images), 1, *size)


def collage(
    batch: Batch, area: float, *, shape: Tensor, top: Tensor, left: Tensor, seed: Tensor
) -> tuple[Tensor, Tensor]:
    """Keep a random rectangle of the given share of the area, in its place on a foreign photo.

    Without ``backgrounds`` the foreign photo is the previous image of the batch: of the originals if
    they are given, else of the marked images themselves, whose marks the masks then do not show.
    An image alone gets a random texture.
    """
    size = _size(batch)
    boxes = [
        rectangles.put(size, rectangles.sides(size, area, tallness), *place)
        for tallness, *place in zip(shape.tolist(), top.tolist(), left.tolist(), strict=True)
    ]
    kept = torch.stack([box.mask(size) for box in boxes])[:, None]
    if batch.backgrounds is not None:
        return _cover(batch.backgrounds, size), kept
    if len(batch.images) == 1:
        return noise.texture(seed, size), kept
    photos = batch.images if batch.originals is None else batch.originals
    return photos.roll(1, dims=0), kept


def inpaint(batch: Batch, area: float, *, seed: Tensor) -> tuple[Tensor, Tensor]:
    """Replace blobs that cover a share of the area by what diffuses into them from around."""
    height, width = size = _size(batch)
    count = round(area * height * width)
    kept = torch.ones(len(batch.images), 1, height * width)
    if count:
        field = noise.smooth(seed, size).flatten(2)
        kept.scatter_(2, field.topk(count, dim=2).indices, 0)
    kept = kept.unflatten(2, size).to(batch.images)
    return filling.diffuse(batch.images, kept), kept


def overlay_text(batch: Batch, opacity: float, *, top: Tensor, left: Tensor) -> tuple[Tensor, Tensor]:
    """Write a line of outlined text over half of the width, at a random place."""
    return _overlay(batch, drawing.text(_size(batch)[1] // 2), opacity, top, left)


def overlay_logo(batch: Batch, opacity: float, *, top: Tensor, left: Tensor) -> tuple[Tensor, Tensor]:
    """Put a round logo, a quarter of the shorter side across, at a random place."""
    return _overlay(batch, drawing.logo(max(1, min(_size(batch)) // 4)), opacity, top, left)


def _overlay(batch: Batch, layer: Tensor, opacity: float, top: Tensor, left: Tensor) -> tuple[Tensor, Tensor]:
    """Spread a drawing (4, h, w), RGBA in [0, 1], to the places it takes on each image."""
    size = _size(batch)
    layer = layer[:, : size[0], : size[1]]
    other = torch.zeros(len(batch.images), 3, *size)
    kept = torch.ones(len(batch.images), 1, *size)
    for index, place in enumerate(zip(top.tolist(), left.tolist(), strict=True)):
        box = rectangles.put(size, (layer.shape[1], layer.shape[2]), *place)
        other[index][box.index] = layer[:3]
        kept[index][box.index] = 1 - opacity * layer[3:]
    return other, kept


def _cover(photos: Tensor, size: tuple[int, int]) -> Tensor:
    """Scale photos until they cover ``size``, and cut out the centre."""
    factor = max(size[0] / photos.shape[2], size[1] / photos.shape[3])
    height = max(size[0], round(photos.shape[2] * factor))
    width = max(size[1], round(photos.shape[3] * factor))
    scaled = geometric.scale_to(photos, height, width, nearest=False)
    box = Box((height - size[0]) // 2, (width - size[1]) // 2, *size)
    return scaled[box.index]


def _size(batch: Batch) -> tuple[int, int]:
    return batch.images.shape[2], batch.images.shape[3]


def _kind(
    function: Callable[..., tuple[Tensor, Tensor]],
    strength: Strength,
    *,
    uses_originals: bool = False,
    **draws: tuple[int, ...],
) -> Kind:
    return SpliceKind("splicing", function, strength, draws, uses_originals)


_SHARE = Strength(0, 1)
_OPACITY = Strength(0, 1, default=1)

TABLE: dict[str, Kind] = {
    "proportion": _kind(proportion, _SHARE, uses_originals=True),
    "collage": _kind(collage, _SHARE, uses_originals=True, shape=(), top=(), left=(), seed=()),
    "inpaint": _kind(inpaint, _SHARE, seed=()),
    "overlay_text": _kind(overlay_text, _OPACITY, top=(), left=()),
    "overlay_logo": _kind(overlay_logo, _OPACITY, top=(), left=()),
}
