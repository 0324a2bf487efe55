"""A small end-to-end check of networks in training, without the presence calibration: saved files, attacked, read back.

Regions of a marked photo are read at their true pose, and synchronised without knowing it. So it tells apart what the
extractor sees and what the search could use, for any carrier and working resolution.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from attacks import parse
from wam.detection.config import DEFAULT_SEARCH
from wam.detection.pose_refinement import refine
from wam.detection.synchronization import at_pose, synchronise
from wam.networks.watermark_network import WatermarkModel
from wam.pictures.quality import psnr, ssim
from wam.pictures.samples import Pixels
from wam.signal.filters import resize, sized, to_pixels
from wam.signal.mark_grid import Cell
from wam.signal.pattern import Carrier
from wam.signal.pose import Pose
from wam.signal.specification import BITS, TILE
from wam.training.photos import Photos
from wam.watermarker import to_batch

STRENGTH = 42.0  # dB
TURN = 30.0  # degrees
AREAS = (0.25, 0.1)  # of the view, of the regions that are read
REGIONS = 6  # of each area that are read; the first is synchronised too
NEAR = 3.0  # working pixels, whole tiles not counted, by which a found pose may be off at a corner of the region

Box = tuple[int, int, int, int]  # top, left, bottom, right in pixels of a view


@dataclass(frozen=True)
class View:
    """An attacked file at the working resolution, (1, 3, H, W) in [0, 1]; ``pose``: view pixel -> carrier;
    ``to_file``: matrix (2, 2) and offset (2,) from view pixel to file pixel; ``file``: its height and width."""

    image: Tensor
    pose: Pose
    to_file: tuple[Tensor, Tensor]
    file: tuple[int, int]


def check(model: WatermarkModel, photos: Photos, *, count: int, side: int) -> dict[str, float]:
    """Means over the first photos: ``psnr``, ``ssim``; for areas of 25% and 10% after JPEG 80 (``jpeg_``) and turned
    by 30 degrees (``turn_``) the share of right bits and of poses found; ``margin``: mean of the 10% regions' votes in
    their standard deviations; ``error``: standard error of ``jpeg_bits_10``.

    ``side`` is the short side that the pattern is made for, pixels.
    """
    rows = [check_photo(model, picture, number, side) for number, picture in enumerate(photos.pictures[:count])]
    figures = {key: float(np.mean([row[0][key] for row in rows])) for key in rows[0][0]}
    votes = np.concatenate([row[1] for row in rows])
    spread = np.std([row[0]["jpeg_bits_10"] for row in rows], ddof=1) if len(rows) > 1 else math.nan
    return figures | {"margin": float(votes.mean() / votes.std()), "error": float(spread / math.sqrt(len(rows)))}


@torch.inference_mode()
def check_photo(model: WatermarkModel, picture: Pixels, number: int, side: int) -> tuple[dict[str, float], np.ndarray]:
    """Figures of one photo, and the votes of its 10% regions after both attacks, positive where they are right."""
    generator = np.random.default_rng([11, number])
    bits = torch.from_numpy(generator.integers(0, 2, (1, BITS)))
    picture = np.array(picture)  # Pillow's is read-only
    height, width = picture.shape[:2]
    side = min(side, height, width)
    whole = [Cell(0, 0, height, width)]
    marked = to_pixels(model.mark_cells(to_batch(picture), bits, whole, psnr_db=STRENGTH, side=side)[0])
    figures = {"psnr": psnr(picture, marked), "ssim": ssim(picture, marked)}
    signs, votes = bits[0] * 2 - 1, []
    for name, degrees in (("jpeg", 0.0), ("turn", TURN)):
        attacked = to_batch(marked) if degrees else parse("jpeg=80")(to_batch(marked), seed=number).images
        seen = view(attacked, degrees, side)
        estimate = model.extract(seen.image).pattern[0, 0]
        for area in AREAS:
            boxes = draw_boxes(seen, area, generator)
            right = torch.cat([read(estimate, box, seen.pose, model.carriers[0]) * signs for box in boxes])
            figures[f"{name}_bits_{area * 100:.0f}"] = float((right > 0).float().mean())
            found = pose_found(estimate, boxes[0], seen.pose, model.carriers[0])
            figures[f"{name}_pose_{area * 100:.0f}"] = float(found)
        votes.append(right.numpy())  # of the smallest regions
    return figures, np.concatenate(votes)


def view(images: Tensor, degrees: float, side: int) -> View:
    """A file (1, 3, H, W), turned about its middle at its own size, rounded to 8 bits, at the working resolution."""
    height, width = images.shape[-2:]
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    turn = torch.tensor([[cosine, sine], [-sine, cosine]])  # from the turned file to the file
    if degrees:
        scale = torch.tensor([width, height]) / 2  # affine_grid counts half sides from the middle
        theta = torch.cat([turn * scale / scale[:, None], torch.zeros(2, 1)], dim=1)[None]
        grid = F.affine_grid(theta, [1, 1, height, width], align_corners=False)
        images = F.grid_sample(images, grid, mode="bicubic", padding_mode="zeros", align_corners=False).clamp(0, 1)
    working = sized(height, width, side)
    step = torch.tensor([width / working[1], height / working[0]])
    centre = torch.tensor([width / 2, height / 2])
    matrix, offset = turn * step, centre - turn @ centre
    pose = Pose(matrix / step[:, None], offset / step)
    return View(resize(to_batch(to_pixels(images[0])), working), pose, (matrix, offset), (height, width))


def draw_boxes(seen: View, area: float, generator: np.random.Generator) -> list[Box]:
    """Random upright regions of a view that lie in the turned file wholly; its middle where none is found."""
    height, width = seen.image.shape[-2:]
    rows, columns = round(height * area**0.5), round(width * area**0.5)
    boxes: list[Box] = []
    for _ in range(60 * REGIONS):
        top, left = int(generator.integers(height - rows + 1)), int(generator.integers(width - columns + 1))
        box = (top, left, top + rows, left + columns)
        at = corners(box) @ seen.to_file[0].T + seen.to_file[1]
        if bool(((at > -0.5) & (at < torch.tensor(seen.file[::-1]) + 0.5)).all()):
            boxes.append(box)
        if len(boxes) == REGIONS:
            return boxes
    top, left = (height - rows) // 2, (width - columns) // 2
    return boxes or [(top, left, top + rows, left + columns)]


def corners(box: Box) -> Tensor:
    """(4, 2): x and y."""
    top, left, bottom, right = box
    return torch.tensor([[left, top], [right, top], [left, bottom], [right, bottom]], dtype=torch.float32)


def read(estimate: Tensor, box: Box, pose: Pose, carrier: Carrier) -> Tensor:
    """Signed votes (32,) of a region of the estimate (H, W) at a pose of the whole."""
    field, inside = _cut(estimate, box, pose)
    return at_pose(field, inside, carrier, DEFAULT_SEARCH.synchronization).bit_votes


def pose_found(estimate: Tensor, box: Box, pose: Pose, carrier: Carrier) -> bool:
    """Whether synchronising a region by itself gives its pose."""
    field, inside = _cut(estimate, box, pose)
    candidates = synchronise(field, torch.ones_like(field), carrier, DEFAULT_SEARCH)
    if not candidates:
        return False
    best = max(
        (refine(field, each, carrier, DEFAULT_SEARCH) for each in candidates[: DEFAULT_SEARCH.level.refined]),
        key=lambda found: found.score,
    ).pose
    at = corners((0, 0, field.shape[0], field.shape[1]))
    apart = at @ (best.matrix - inside.matrix).T + best.offset - inside.offset
    apart = apart - (apart.mean(0) / TILE).round() * TILE  # the same number of tiles everywhere
    return float(apart.abs().max()) < NEAR


def _cut(estimate: Tensor, box: Box, pose: Pose) -> tuple[Tensor, Pose]:
    """A region and its pose in its own pixels."""
    top, left, bottom, right = box
    corner = torch.tensor([left, top], dtype=torch.float32)
    return estimate[top:bottom, left:right], Pose(pose.matrix, pose.offset + pose.matrix @ corner)
