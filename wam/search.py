"""The search: a picture of any size -> every watermark in it, with pose, bits and mask.

The picture is looked at from a pyramid of resolutions, since a piece that was enlarged or reduced has to come near the
scale the extractor knows. The usual case, a whole picture as it was marked, ends after one network pass and one
projection; everything else is searched level by level, each level again and again until nothing more is found.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from wam.carrier import Carrier
from wam.extractor import ExtractorOutput
from wam.model import WORKING_SIDE, WatermarkModel, resize, sized
from wam.pose import Pose
from wam.refine import refine
from wam.regions import Cluster, split_messages
from wam.sync import Synchronised, at_pose, periodicity, synchronise

MOST = 32  # watermarks in one picture
RATIO = 1.6  # between pyramid levels; each level searches a range of scales a little wider than this
FINEST = 1440  # pixels: largest short side that is looked at
COARSEST = 56  # pixels
DONE = 0.85  # share of the picture that, once explained, ends the search
LEAST_AREA = 4500  # pixels of a level below which no more is looked for: about four and a half tiles
REFINED = 3  # best poses of a synchronisation that are refined before they are judged
PILOT = 5.7  # standard deviations of pilot agreement from which a pose is looked into: chance gives up to 5
EXPECTED_PILOT = 3.8  # the same for the expected pose, which is one chance, not thousands
WORTH_REFINING = 0.8  # share of either bound from which refinement is tried
WINDOW = 192  # pixels: side of the windows searched for pieces with a pose of their own
WINDOWS = 24  # most windows a level in the usual search

Box = tuple[int, int, int, int]  # top, left, bottom, right in pixels of a level


@dataclass(frozen=True)
class Found:
    """One watermark: ``votes`` (32,) signed, ``score`` joint, ``mask_logits`` (h, w) at the level it was found on,
    ``pose`` in pixels of the full picture, ``short_side`` of that level, ``carrier`` it was read with."""

    votes: Tensor
    score: float
    mask_logits: Tensor
    pose: Pose
    short_side: int
    carrier: int


@dataclass(frozen=True)
class SearchResult:
    """``tried``: regions synchronised, the search's own count of chances to be wrong; ``passes`` of the network."""

    found: tuple[Found, ...]
    tried: int
    passes: int


@torch.inference_mode()
def search(model: WatermarkModel, image: Tensor, *, threshold: float, thorough: bool = False) -> SearchResult:
    """Every watermark of one picture (3, H, W) float in [0, 1]."""
    height, width = image.shape[-2:]
    claimed = torch.zeros(1, 1, *sized(height, width, min(WORKING_SIDE, height, width)), device=image.device)
    found: list[Found] = []
    tried = passes = 0
    for short_side in pyramid(min(height, width)):
        size = sized(height, width, short_side)
        output = model.extract(resize(image[None], size))
        passes += 1
        available = (F.interpolate(claimed, size=size, mode="bilinear", align_corners=False)[0, 0] < 0.5).float()
        for index, carrier in enumerate(model.carriers):
            room = MOST - len(found)
            windows = 10**6 if thorough else WINDOWS
            level = LevelSearch(output, available, carrier, threshold=threshold, windows=windows)
            expected = Pose.upright(min(size) / min(WORKING_SIDE, height, width))
            for pose, cluster in level.run(expected, limit=room):
                full = pose.rescaled(width / size[1], height / size[0])
                found.append(Found(cluster.votes, cluster.score, cluster.mask_logits, full, short_side, index))
                shown = F.interpolate(cluster.mask[None, None].float(), size=claimed.shape[-2:], mode="bilinear")
                claimed = torch.maximum(claimed, shown)
            tried += level.tried
        if len(found) >= MOST or (not thorough and float((claimed > 0.5).float().mean()) > DONE):
            break
    return SearchResult(tuple(found), tried, passes)


def pyramid(short_side: int) -> Iterator[int]:
    """Short sides to look from: the usual one, coarser ones for enlarged pieces, finer ones for reduced pieces."""
    usual = min(WORKING_SIDE, short_side)
    yield usual
    side = usual / RATIO
    while side >= COARSEST:
        yield round(side)
        side /= RATIO
    side = usual * RATIO
    finest = min(short_side, FINEST)
    while side < finest * 1.25 and usual < finest:
        yield round(min(side, finest))
        side *= RATIO


class LevelSearch:
    """All watermarks of one level. ``available`` shrinks as they are found; ``tried`` counts synchronisations."""

    def __init__(
        self, output: ExtractorOutput, available: Tensor, carrier: Carrier, *, threshold: float, windows: int
    ) -> None:
        self.pattern = output.pattern[0, 0]
        self.available, self.carrier, self.threshold, self.windows = available, carrier, threshold, windows
        self.tried = 0

    def run(self, expected: Pose, *, limit: int) -> Iterator[tuple[Pose, Cluster]]:
        """Yields watermarks with their pose in this level's pixels: first the expected pose, then what regions show."""
        for poses in self._proposals(expected):
            for pose in poses:
                for cluster in self._split(pose, limit):
                    limit -= 1
                    self.available = self.available * (~cluster.mask)
                    yield pose, cluster
                if limit <= 0:
                    return

    def _proposals(self, expected: Pose) -> Iterator[list[Pose]]:
        """Poses worth splitting, lazily: each list is made with what is still available at that time."""
        field = self.pattern * self.available
        yield self._worthy(field, [at_pose(field, expected, self.carrier)], pilot=EXPECTED_PILOT)
        for box in self._boxes():
            before = float("inf")
            while LEAST_AREA < (left := float(cut(self.available, box).sum())) < before:
                before = left  # again as long as something was found here
                yield self._in_box(box)

    def _in_box(self, box: Box) -> list[Pose]:
        """Poses of one part of the picture, in coordinates of the whole."""
        weight = cut(self.available, box)
        field = cut(self.pattern, box) * weight
        poses = self._worthy(field, synchronise(field, weight, self.carrier), pilot=PILOT)
        corner = field.new_tensor([box[1], box[0]])
        return [Pose(pose.matrix, pose.offset - pose.matrix @ corner) for pose in poses]

    def _worthy(self, field: Tensor, candidates: list[Synchronised], *, pilot: float) -> list[Pose]:
        """Poses whose joint score or whose pilot alone makes a watermark likely, refined; at most two."""

        def promise(candidate: Synchronised) -> float:
            return max(candidate.score / self.threshold, candidate.pilot / pilot)

        self.tried += 1
        best = sorted(candidates, key=promise, reverse=True)[:REFINED]
        refined = [refine(field, one, self.carrier) if promise(one) > WORTH_REFINING else one for one in best]
        good = [one for one in refined if promise(one) >= 1]
        return [one.pose for one in sorted(good, key=promise, reverse=True)[:2]]

    def _split(self, pose: Pose, limit: int) -> list[Cluster]:
        return split_messages(self.pattern, self.available, pose, self.carrier, threshold=self.threshold, limit=limit)

    def _boxes(self) -> Iterator[Box]:
        """The whole picture, then windows of it."""
        yield 0, 0, self.pattern.shape[0], self.pattern.shape[1]
        yield from self._windows()

    def _windows(self) -> list[Box]:
        """Overlapping square windows, those that repeat most first."""
        height, width = self.pattern.shape
        if min(height, width) <= WINDOW or max(height, width) <= 1.5 * WINDOW:
            return []
        tops = range(0, max(1, height - WINDOW // 2), WINDOW // 2)
        lefts = range(0, max(1, width - WINDOW // 2), WINDOW // 2)
        boxes = [(top, left, min(top + WINDOW, height), min(left + WINDOW, width)) for top in tops for left in lefts]
        return sorted(boxes, key=self._repetition, reverse=True)[: self.windows]

    def _repetition(self, box: Box) -> float:
        weight = cut(self.available, box)
        return periodicity(cut(self.pattern, box) * weight, weight) if float(weight.sum()) > LEAST_AREA else 0.0


def cut(field: Tensor, box: Box) -> Tensor:
    """The part of (H, W) inside top, left, bottom, right."""
    top, left, bottom, right = box
    return field[top:bottom, left:right]
