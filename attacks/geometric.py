"""Attacks on positions: pixels move, and the masks move with them.

Every function warps images or masks (B, C, H, W) alike. Images are read bilinearly (anti-aliased
where they shrink), masks with ``nearest=True``, so that binary masks stay binary. What comes from
outside is 0 (black).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from attacks import rectangles
from attacks.base import Batch, Kind, Params, Strength


class WarpKind(Kind):
    """``function(images, [strength], nearest=, **params) -> images``, called for masks as well."""

    def run(self, batch: Batch, strength: tuple[float, ...], params: Params) -> Batch:
        images = self.function(batch.images, *strength, nearest=False, **params)
        if batch.masks is None:
            return replace(batch, images=images, originals=None)
        masks = self.function(batch.masks, *strength, nearest=True, **params)
        return replace(batch, images=images, masks=masks, originals=None)


def scale_to(images: Tensor, height: int, width: int, *, nearest: bool) -> Tensor:
    """Resample to a size in pixels, as torchvision's ``resize``."""
    size = (max(height, 1), max(width, 1))
    if tuple(images.shape[2:]) == size:
        return images
    if nearest:
        return F.interpolate(images, size, mode="nearest-exact")
    # kornia's antialias is a Gaussian blur before; this one is Pillow's area-weighted triangle.
    return F.interpolate(images, size, mode="bilinear", antialias=True, align_corners=False)


def resize(images: Tensor, factor: float, *, nearest: bool) -> Tensor:
    """Scale both sides by a factor; the result keeps its new size."""
    height, width = images.shape[2:]
    return scale_to(images, round(height * factor), round(width * factor), nearest=nearest)


def aspect(images: Tensor, factor: float, *, nearest: bool) -> Tensor:
    """Stretch the width by a factor, the height stays."""
    height, width = images.shape[2:]
    return scale_to(images, height, round(width * factor), nearest=nearest)


def thumbnail(images: Tensor, pixels: float, *, nearest: bool) -> Tensor:
    """Shrink until the shortest side has this many pixels; smaller images stay."""
    factor = min(1.0, pixels / min(images.shape[2:]))
    return resize(images, factor, nearest=nearest)


def fit(images: Tensor, pixels: float, *, nearest: bool) -> Tensor:
    """Shrink until the longest side has this many pixels; smaller images stay."""
    factor = min(1.0, pixels / max(images.shape[2:]))
    return resize(images, factor, nearest=nearest)


def crop_keep(images: Tensor, area: float, *, nearest: bool, top: Tensor, left: Tensor) -> Tensor:
    """Keep a share of the area, at a random place and of the same aspect, at its size."""
    size = (images.shape[2], images.shape[3])
    inner = (max(1, round(size[0] * area**0.5)), max(1, round(size[1] * area**0.5)))
    boxes = [rectangles.put(size, inner, *place) for place in zip(top.tolist(), left.tolist(), strict=True)]
    return torch.stack([image[box.index] for image, box in zip(images, boxes, strict=True)])


def crop(images: Tensor, area: float, *, nearest: bool, top: Tensor, left: Tensor) -> Tensor:
    """As ``crop_keep``, then scaled back to the size before."""
    inner = crop_keep(images, area, nearest=nearest, top=top, left=left)
    return scale_to(inner, *images.shape[2:], nearest=nearest)


def pad(images: Tensor, growth: float, *, nearest: bool, top: Tensor, left: Tensor) -> Tensor:
    """Put the image at a random place on a black canvas, both sides longer by a share."""
    height, width = images.shape[2:]
    size = (round(height * (1 + growth)), round(width * (1 + growth)))
    canvas = images.new_zeros(*images.shape[:2], *size)
    for index, place in enumerate(zip(top.tolist(), left.tolist(), strict=True)):
        box = rectangles.put(size, (height, width), *place)
        canvas[index][box.index] = images[index]
    return canvas


def rotate(images: Tensor, degrees: float, *, nearest: bool) -> Tensor:
    """Turn counter-clockwise about the centre; the canvas keeps its size, the corners are black."""
    from kornia import geometry

    if degrees == 0:
        return images
    return geometry.rotate(images, torch.tensor([degrees]).to(images), mode=_mode(nearest))


def hflip(images: Tensor, *, nearest: bool) -> Tensor:
    """Swap left and right."""
    from kornia import geometry

    return geometry.hflip(images)


def vflip(images: Tensor, *, nearest: bool) -> Tensor:
    """Swap top and bottom."""
    from kornia import geometry

    return geometry.vflip(images)


def perspective(images: Tensor, distortion: float, *, nearest: bool, corners: Tensor) -> Tensor:
    """Draw each corner inwards by up to a share of half a side, as RandomPerspective (torchvision).

    ``corners`` (B, 4, 2) in [0, 1) are the steps in x, y of the top left, top right, bottom right and
    bottom left corner.
    """
    from kornia import geometry

    height, width = images.shape[2:]
    reach = torch.tensor([int(distortion * (width // 2)), int(distortion * (height // 2))])
    steps = torch.floor(corners * (reach + 1))
    if not steps.any():
        return images
    start = torch.tensor([[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]]).to(steps)
    end = start + steps * torch.tensor([[1, 1], [-1, 1], [-1, -1], [1, -1]])
    # torchvision and Pillow count from the corner of the first pixel, kornia from its centre.
    warp = geometry.get_perspective_transform(start.expand_as(end) - 0.5, end - 0.5).to(images)
    return geometry.warp_perspective(images, warp, (height, width), mode=_mode(nearest))


def _mode(nearest: bool) -> str:
    return "nearest" if nearest else "bilinear"


def _kind(function: Callable[..., Tensor], strength: Strength | None = None, **draws: tuple[int, ...]) -> Kind:
    return WarpKind("geometric", function, strength, draws)


_AREA = Strength(0.01, 1)
_PIXELS = Strength(1, 65536, whole=True)

TABLE: dict[str, Kind] = {
    "resize": _kind(resize, Strength(0.01, 16)),
    "aspect": _kind(aspect, Strength(0.1, 10)),
    "thumbnail": _kind(thumbnail, _PIXELS),
    "fit": _kind(fit, _PIXELS),
    "crop": _kind(crop, _AREA, top=(), left=()),
    "crop_keep": _kind(crop_keep, _AREA, top=(), left=()),
    "pad": _kind(pad, Strength(0, 4), top=(), left=()),
    "rotate": _kind(rotate, Strength(-360, 360)),
    "hflip": _kind(hflip),
    "vflip": _kind(vflip),
    "perspective": _kind(perspective, Strength(0, 1), corners=(4, 2)),
}
