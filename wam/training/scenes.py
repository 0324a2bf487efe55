"""Random training scenes: marked, cut out, pasted, degraded and warped pictures with exact ground truth.

A scene goes through three grids. *content*: a photo at working resolution, one pixel per working pixel. *file*: the
saved 8-bit file, ``zoom`` pixels per working pixel, where regions are cut and codecs act. *view*: what the extractor
sees, turned, flipped and rescaled. The carrier is rendered exactly in each grid; only pictures and masks are resampled.
A batch is made on one device, and all that is random is drawn on the CPU, so that no device is asked for a number.

How a mark looks is drawn from a range far wider than in use, so that what the extractor learns holds for embedders to
come: its strength, how much less smooth places get, its share in chroma, the slope of its spectrum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from attacks.base import straight_through
from attacks.training import degrade_batch
from wam.networks.embedder import SSIM_FLOOR, SSIM_LOSS
from wam.networks.perceptual import FLOOR, MASKING, texture
from wam.networks.visibility import BUSY
from wam.signal.filters import box_mean, coloured, lowpass, luma, rounded
from wam.signal.pattern import Carrier
from wam.signal.specification import BITS

CONTENT = 208  # content side, working pixels
FILE = 192  # file side, pixels
VIEW = 128  # view side, pixels
TRAINED_PSNR = (38.0, 48.0)  # dB: bounds of the usual strength, wider than in use
PLAIN_SHARE = 0.5  # of scenes whose mark has no chroma, as those of signal version 1
MOST_CHROMA = 1.2  # levels of chroma in smooth places, or times the levels of luma: the strongest share of a mark
UNROUNDED = 0.2  # of scenes whose file is not rounded to 8 bits: large pictures, whose rounding averages out


@dataclass(frozen=True)
class Difficulty:
    """How hard scenes are; ``level`` 0 to 1 is set by the curriculum."""

    level: float = 0.0

    @property
    def fainter_range(self) -> tuple[float, float]:
        """How much less energy marks have than the usual strength, decibel."""
        return -5.0 + 1.0 * self.level, -2.0 + 10.0 * self.level

    @property
    def degraded_share(self) -> float:
        return 0.3 + 0.4 * self.level


@dataclass(frozen=True)
class Geometry:
    """Affine maps of a batch: file pixel -> carrier, view pixel -> file pixel, both (B, 2, 2) and (B, 2)."""

    zoom: Tensor
    file_offset: Tensor
    view_matrix: Tensor
    view_offset: Tensor

    @property
    def file_matrix(self) -> Tensor:
        """(B, 2, 2): file pixels to working pixels."""
        return torch.eye(2).expand(len(self.zoom), 2, 2) / self.zoom[:, None, None]

    @property
    def pose(self) -> tuple[Tensor, Tensor]:
        """View pixel -> carrier: matrix and offset."""
        offset = torch.einsum("bij,bj->bi", self.file_matrix, self.view_offset) + self.file_offset
        return self.file_matrix @ self.view_matrix, offset


@dataclass(frozen=True)
class Scene:
    """``view`` (B, 3, V, V) in [0, 1]; ``mask`` (B, 1, V, V) 0 or 1; ``pattern`` (B, 1, V, V) unit variance, unmasked;
    ``bits`` (B, 32); ``matrix``, ``offset``: pose of the view; ``carrier``."""

    view: Tensor
    mask: Tensor
    pattern: Tensor
    bits: Tensor
    matrix: Tensor
    offset: Tensor
    carrier: Carrier


def draw_geometry(count: int, generator: np.random.Generator) -> Geometry:
    """Random poses: upright or turned by any angle, flipped, rescaled, slightly sheared."""
    zoom = np.where(generator.random(count) < 0.3, 1.0, generator.uniform(0.95, 1.7, count))
    view_scale = np.exp(generator.uniform(np.log(0.62), np.log(1.55), count))  # view pixels per working pixel
    view_scale[generator.random(count) < 0.35] = 1.0
    kind = generator.random(count)
    angle = np.where(kind < 0.25, 0.0, generator.uniform(-np.pi, np.pi, count))
    angle = np.where(kind > 0.9, np.round(angle / (np.pi / 2)) * np.pi / 2, angle)
    flip = np.where(generator.random(count) < 0.25, -1.0, 1.0)
    shear = np.where(generator.random((2, count)) < 0.3, generator.normal(0, 0.08, (2, count)), 0.0)
    step = zoom / view_scale  # file pixels per view pixel
    cosine, sine = np.cos(angle), np.sin(angle)
    turn = np.stack([np.stack([cosine, -sine], -1), np.stack([sine, cosine], -1)], -2)
    stretch = np.stack([np.stack([flip, shear[0]], -1), np.stack([shear[1], np.ones(count)], -1)], -2)
    matrix = turn @ stretch * step[:, None, None]
    room = np.clip(FILE / 2 - VIEW / 2 * step, 0, None)
    centre = FILE / 2 + generator.uniform(-1, 1, (count, 2)) * room[:, None]
    offset = centre - np.einsum("bij,j->bi", matrix, np.full(2, VIEW / 2))
    start = generator.uniform(0, 1024, (count, 2))  # where in the marked picture the crop lies, working pixels
    tensors = (torch.tensor(v, dtype=torch.float32) for v in (zoom, start, matrix, offset))
    return Geometry(*tensors)


def draw_masks(count: int, generator: np.random.Generator, device: torch.device) -> Tensor:
    """Which file pixels are marked: everything, nothing, boxes, ellipses or a slanted half. (B, 1, FILE, FILE)."""
    kind = generator.random(count)
    shapes = generator.integers(1, 4, count)
    used = np.arange(3) < shapes[:, None]
    centre = generator.uniform(20, FILE - 20, (2, count, 3))
    half = generator.uniform(18, 70, (2, count, 3))
    turned = generator.random(count) < 0.25
    x = torch.arange(FILE, device=device, dtype=torch.float32)

    def wide(values: np.ndarray) -> Tensor:
        return torch.tensor(values, device=device, dtype=torch.float32).view(count, -1, 1, 1)

    across = x - wide(centre[0])
    down = x[:, None] - wide(centre[1])
    half_w, half_h = wide(half[0]), wide(half[1])
    box = (across.abs() < half_w) & (down.abs() < half_h)
    ellipse = (across / half_w).square() + (down / half_h).square() < 1
    slanted = across * half_w + down * (half_h - 44) > 0
    kinds = wide(kind)
    shape = torch.where(kinds < 0.85, box, torch.where(kinds < 0.95, ellipse, slanted)) & (wide(used) > 0)
    mask = shape.any(dim=1, keepdim=True) ^ (wide(turned) > 0)
    mask = torch.where(kinds < 0.45, True, mask & ~((kinds >= 0.45) & (kinds < 0.53)))
    return mask.float()


def mark(photo: Tensor, residual: Tensor, mask: Tensor, whole: Tensor) -> Tensor:
    """The saved file: photo plus residual inside the mask (B, 3, FILE, FILE), rounded to 8 bits where ``whole`` (B,) is
    True, straight through."""
    marked = (photo + mask * residual / 255).clamp(0, 1)
    return straight_through(marked, torch.where(whole.view(-1, 1, 1, 1), rounded(marked), marked))


def draw_gains(
    gain: Tensor, content: Tensor, difficulty: Difficulty, generator: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Gains of luma and chroma (B, 1, C, C) in 8-bit levels: from the embedder's map, what a mark may look like."""
    count, device = len(content), content.device

    def drawn(low: float, high: float) -> Tensor:
        return torch.tensor(generator.uniform(low, high, count), dtype=torch.float32, device=device)

    scaled = gain * usual_factor(gain, content) * 10 ** (-drawn(*difficulty.fainter_range) / 20).view(-1, 1, 1, 1)
    rough = texture(content)
    floor = torch.where(drawn(0, 1) < 0.5, drawn(0.15, 1.0), torch.ones(count, device=device)).view(-1, 1, 1, 1)
    scaled = scaled * ((FLOOR * floor + MASKING * rough) / (FLOOR + MASKING * rough))  # smooth places get less
    share = torch.where(drawn(0, 1) < PLAIN_SHARE, torch.zeros(count, device=device), drawn(0.1, MOST_CHROMA))
    smooth = 1 / (1 + (rough / BUSY).square())
    with_luma = (drawn(0, 1) < 0.4).view(-1, 1, 1, 1)
    return scaled, share.view(-1, 1, 1, 1) * torch.where(with_luma, scaled, smooth)


def usual_factor(gain: Tensor, content: Tensor) -> Tensor:
    """(B, 1, 1, 1): about what ``scale_evenly`` scales a gain (B, 1, C, C) by, from box means of the luma alone, which
    takes a tenth of the time."""
    levels = luma(content) * 255
    variance = (box_mean(levels.square(), 9) - box_mean(levels, 9).square()).clamp(min=0)
    loss = (gain.square() / (2 * variance + SSIM_FLOOR)).mean(dim=(1, 2, 3))
    strongest, faintest = (
        255 * 10 ** (-limit / 20) / gain.square().mean(dim=(1, 2, 3)).sqrt() for limit in TRAINED_PSNR
    )
    return torch.minimum(torch.maximum((SSIM_LOSS / loss).sqrt(), faintest), strongest).view(-1, 1, 1, 1)


def warp(images: Tensor, geometry: Geometry, *, mode: str) -> Tensor:
    """File grid -> view grid, black outside; pictures are low-passed first where they shrink."""
    step = geometry.view_matrix.det().abs().sqrt()
    images = lowpass(images, (0.5 * (step.square() - 1).clamp(min=0).sqrt()).to(images.device))
    matrix = geometry.view_matrix
    centre = torch.einsum("bij,j->bi", matrix, torch.full((2,), VIEW / 2)) + geometry.view_offset
    theta = torch.cat([matrix * VIEW / FILE, (centre * 2 / FILE - 1)[:, :, None]], dim=2).to(images.device)
    grid = F.affine_grid(theta, [len(images), 1, VIEW, VIEW], align_corners=False)
    return F.grid_sample(images, grid, mode=mode, padding_mode="zeros", align_corners=False)


def make_scene(
    content: Tensor, gain: Tensor, carrier: Carrier, difficulty: Difficulty, generator: np.random.Generator
) -> Scene:
    """Composes one batch of scenes: content (B, 3, C, C) in [0, 1], gain (B, 1, C, C) levels from the embedder."""
    count, device = len(content), content.device
    geometry = draw_geometry(count, generator)
    bits = torch.from_numpy(generator.integers(0, 2, (count, BITS))).to(device)
    mask = draw_masks(count, generator, device)
    levels, chroma = draw_gains(gain, content, difficulty, generator)
    photo = _to_file_grid(content, geometry, mode="bicubic").clamp(0, 1)
    gains = _to_file_grid(torch.cat([levels, chroma], dim=1), geometry, mode="bilinear")
    matrix, offset = geometry.file_matrix.to(device), geometry.file_offset.to(device)
    pattern = carrier.render(bits, matrix, offset, (FILE, FILE))
    whole = torch.from_numpy(generator.random(count) >= UNROUNDED).to(device)
    files = mark(photo, coloured(gains[:, :1], gains[:, 1:]) * pattern, mask, whole)
    foreign = torch.from_numpy(generator.random(count) < 0.3).to(device).view(-1, 1, 1, 1)
    files = torch.where(foreign, mask * files + (1 - mask) * photo.roll(1, 0), files)
    files = degrade_batch(files, generator, share=difficulty.degraded_share)
    view = warp(files, geometry, mode="bicubic" if generator.random() < 0.5 else "bilinear").clamp(0, 1)
    view = degrade_batch(view, generator, share=0.5 * difficulty.degraded_share)
    seen = warp(mask, geometry, mode="nearest")
    matrix, offset = (tensor.to(device) for tensor in geometry.pose)
    pattern = carrier.render(bits, matrix, offset, (VIEW, VIEW))
    return Scene(view, seen, pattern, bits, matrix, offset, carrier)


def _to_file_grid(maps: Tensor, geometry: Geometry, *, mode: str) -> Tensor:
    """Content grid -> file grid about the common centre."""
    factor = (FILE / CONTENT / geometry.zoom).to(maps.device)
    theta = torch.zeros(len(maps), 2, 3, device=maps.device)
    theta[:, 0, 0] = theta[:, 1, 1] = factor
    grid = F.affine_grid(theta, [len(maps), 1, FILE, FILE], align_corners=False)
    return F.grid_sample(maps, grid, mode=mode, padding_mode="reflection", align_corners=False)
