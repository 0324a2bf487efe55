"""The search: a picture of any size -> every watermark in it, with pose, bits and mask.

The picture is looked at from a pyramid of resolutions, since a piece that was enlarged or reduced has to come near the
scale the extractor knows. The usual case, a whole picture as it was marked, ends after one network pass and one
projection; everything else is searched level by level, each level again and again until nothing more is found.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from wam.bend import Bend
from wam.carrier import TILE
from wam.jnd import box_max
from wam.level import LevelSearch
from wam.model import WORKING_SIDE, WatermarkModel, resize, sized
from wam.pose import Pose
from wam.regions import Cluster, reads_alike
from wam.tilts import outlined_bend

MOST = 32  # watermarks in one picture
RATIO = 1.6  # between pyramid levels; each level searches a range of scales a little wider than this
NATIVE = 1.1  # times a level's short side that the picture's own has at least to be a level of its own
LARGEST_VIEW = 12_000_000  # pixels of the largest view, whatever the shape of the picture
LARGEST_ENLARGED = 400_000  # pixels of a view that is larger than the picture: banners are no thumbnails
COARSEST = 56  # pixels
DONE = 0.85  # share of the picture that, once explained, ends the search
REPETITION = 5.0  # standard deviations of periodicity from which a window is synchronised; unmarked ones reach 5.2
LEGIBLE = (0.55, 1.8)  # pixels per working pixel between which the extractor sees a pattern at all
TILT_LEVELS = (WORKING_SIDE, round(WORKING_SIDE * RATIO))  # short sides on which they are tried, pixels
ONE_COLOUR = 1.5 / 255  # range of values of a place without a picture
BLACK = 1.5 / 255  # brightest value of the corners that a turned or padded picture gets


@dataclass(frozen=True)
class Found:
    """One watermark: ``votes`` (32,) signed, ``score`` joint, ``mask_logits`` (h, w) at the level it was found on,
    ``pose`` in pixels of the full picture, ``pattern`` (h, w) the extractor's estimate on that level, ``carrier`` index
    of the one it was read with; ``bend`` in pixels of the level: the pose holds for straight coordinates, None where
    they are the picture's own; ``how`` it was found, for people."""

    votes: Tensor
    score: float
    mask_logits: Tensor
    pose: Pose
    pattern: Tensor
    carrier: int
    bend: Bend | None = None
    how: str = ""


@dataclass(frozen=True)
class SearchResult:
    """``tried``: regions synchronised, the search's own count of chances to be wrong; ``passes`` of the network;
    ``strongest`` joint score that any pose reached, found or not; ``views`` (height, width) that were looked at."""

    found: tuple[Found, ...]
    strongest: float
    tried: int
    passes: int
    views: tuple[tuple[int, int], ...] = ()


@torch.inference_mode()
def search(model: WatermarkModel, image: Tensor, *, threshold: float, thorough: bool = False) -> SearchResult:
    """Every watermark of one picture (3, H, W) float in [0, 1]; in single precision but for the networks."""
    with torch.autocast(image.device.type, enabled=False):
        return _search(model, image, threshold=threshold, thorough=thorough)


def _search(model: WatermarkModel, image: Tensor, *, threshold: float, thorough: bool) -> SearchResult:
    height, width = image.shape[-2:]
    usual = min(WORKING_SIDE, height, width)
    small = sized(height, width, usual)
    seen = resize(image[None], small)
    black = empty(seen)
    explained = black.float()[None, None]
    found: list[Found] = []
    views: list[tuple[int, int]] = []
    tried, strongest = 0, 0.0
    for short_side, size in view_sizes(height, width):
        view = resize(image[None], size)
        output = model.extract(view)
        views.append(size)
        tilts = thorough or short_side in TILT_LEVELS
        outlined = outlined_bend(view[0].amax(0) > BLACK) if tilts else None
        expected = _expected(short_side, size, usual, image)
        for index, carrier in enumerate(model.carriers):
            available = (F.interpolate(explained, size=size, mode="bilinear")[0, 0] < 0.5).float()
            level = LevelSearch(
                view,
                output,
                available,
                carrier,
                threshold=threshold,
                repetition=0.0 if thorough else REPETITION,
                head=model.mask_head,
                tilts=tilts,
                outlined=outlined,
            )
            for pose, cluster, bend in level.run(expected, limit=MOST - len(found)):
                full = pose.rescaled(width / size[1], height / size[0])
                found.append(_found(level, cluster, full, index, bend))
                shown = F.interpolate(cluster.mask[None, None].float(), size=small, mode="bilinear")
                explained = torch.maximum(explained, shown)
            tried += level.tried
            strongest = max(strongest, level.strongest)
        if len(found) >= MOST or (found and not thorough and _explains(explained[0, 0], seen, black)):
            break
    return SearchResult(tuple(join_parts(found, (height, width))), strongest, tried, len(views), tuple(views))


def _expected(short_side: int, size: tuple[int, int], usual: int, image: Tensor) -> Pose | None:
    """The pose in a view of ``size`` of a picture as it was marked at this size or, a thumbnail, before it was reduced;
    None where the extractor sees no pattern of that scale."""
    scale = min(size) / (usual if short_side <= usual else WORKING_SIDE)
    return Pose.upright(scale, device=image.device) if LEGIBLE[0] < scale < LEGIBLE[1] else None


def _explains(explained: Tensor, seen: Tensor, black: Tensor) -> bool:
    """Whether what was found covers nearly all of a picture (1, 3, h, w), or all but paper of one colour."""
    if float((explained > 0.5)[~black].float().mean()) > DONE:
        return True
    covered = box_max(explained, 9) > 0.5  # as wide around as places that are not blank
    return float(covered[~blank(seen)].float().mean()) > DONE


def _found(level: LevelSearch, cluster: Cluster, pose: Pose, carrier: int, bend: Bend | None) -> Found:
    """A cluster of a level with its pose in the full picture, and how it was found."""
    height, width = level.pattern.shape
    how = f"{level.way} at {width}x{height}{', bend followed' if bend else ''}"
    return Found(cluster.votes, cluster.score, cluster.mask_logits, pose, level.pattern, carrier, bend, how)


def join_parts(found: list[Found], size: tuple[int, int]) -> list[Found]:
    """Parts of one mark that were found apart, on two levels say, as one: same carrier, message and pose."""
    joined: list[Found] = []
    for one in sorted(found, key=lambda part: -part.score):
        for index, other in enumerate(joined):
            same = one.carrier == other.carrier and reads_alike(one.votes, other.votes)
            if same and (_same_place(one, other, size) or _touching(one, other)):
                own = F.interpolate(one.mask_logits[None, None], size=other.mask_logits.shape, mode="bilinear")[0, 0]
                joined[index] = replace(other, mask_logits=torch.maximum(other.mask_logits, own))
                break
        else:
            joined.append(one)
    return joined


def _touching(one: Found, other: Found) -> bool:
    """Whether parts of alike pose share a border, as pieces of a bent picture do: each is read at a pose of its own."""
    own = F.interpolate((one.mask_logits > 0)[None, None].float(), size=other.mask_logits.shape, mode="bilinear")
    grown = box_max(own, 9)[0, 0] > 0.5
    turned = (one.pose.matrix - other.pose.matrix).norm() / other.pose.matrix.norm()
    return bool((grown & (other.mask_logits > 0)).any()) and float(turned) < 0.3


def _same_place(one: Found, other: Found, size: tuple[int, int]) -> bool:
    """Whether two poses agree where the first part lies, up to whole tiles."""
    rows, columns = torch.nonzero(one.mask_logits > 0, as_tuple=True)
    if not len(rows):
        return True
    shape = one.mask_logits.shape
    x, y = columns.float().mean() / shape[1] * size[1], rows.float().mean() / shape[0] * size[0]
    centre = torch.stack([x, y])
    apart = (one.pose.matrix - other.pose.matrix) @ centre + one.pose.offset - other.pose.offset
    apart = (apart + TILE / 2) % TILE - TILE / 2
    turned = (one.pose.matrix - other.pose.matrix).norm() / other.pose.matrix.norm()
    return float(apart.abs().max()) < 4 and float(turned) < 0.03


def empty(view: Tensor) -> Tensor:
    """Where a picture is plainly black over 9 x 9 pixels, as no marked place is: (1, 3, H, W) -> (H, W) bool."""
    return box_max(view.amax(1), 9)[0] <= BLACK


def blank(view: Tensor) -> Tensor:
    """Where a picture is of one colour over 9 x 9 pixels, so that no mark is left: (1, 3, H, W) -> (H, W) bool."""
    return (box_max(view, 9) + box_max(-view, 9)).amax(1)[0] <= ONE_COLOUR


def view_sizes(height: int, width: int) -> Iterator[tuple[int, tuple[int, int]]]:
    """The views of a picture of that size that are looked at: short side, and (height, width); at least one.

    None has more pixels than ``LARGEST_VIEW``: very long strips are only looked at reduced.
    """
    any_view = False
    for short_side in pyramid(min(height, width)):
        size = sized(height, width, short_side)
        pixels = size[0] * size[1]
        enlarged = short_side > min(height, width) and pixels > LARGEST_ENLARGED
        if pixels <= LARGEST_VIEW and not enlarged:
            any_view = True
            yield short_side, size
    if not any_view:
        short_side = max(8, int((LARGEST_VIEW * min(height, width) / max(height, width)) ** 0.5))
        yield short_side, sized(height, width, short_side)


def pyramid(short_side: int) -> Iterator[int]:
    """Short sides to look from: the usual one, coarser ones for enlarged pieces, finer ones for reduced pieces.

    A picture below the usual size may be a thumbnail of a larger one, and is looked at enlarged.
    """
    usual = min(WORKING_SIDE, short_side)
    yield usual
    if usual < WORKING_SIDE:
        yield WORKING_SIDE
    side = usual / RATIO
    while side >= COARSEST:
        yield round(side)
        side /= RATIO
    side = usual * RATIO
    while side * NATIVE < short_side:
        yield round(side)
        side *= RATIO
    if short_side > usual * NATIVE:
        yield short_side  # as it is: a piece may be as small as the extractor can read
