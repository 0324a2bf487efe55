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

from wam.carrier import TILE, Carrier
from wam.extractor import ExtractorOutput
from wam.masks import flat_energy
from wam.model import WORKING_SIDE, WatermarkModel, resize, sized
from wam.pose import Pose
from wam.refine import refine
from wam.regions import Cluster, reads_alike, split_messages
from wam.sync import Synchronised, at_pose, periodicity, synchronise

MOST = 32  # watermarks in one picture
RATIO = 1.6  # between pyramid levels; each level searches a range of scales a little wider than this
FINEST = 1440  # pixels: largest short side that is looked at
LARGEST_VIEW = 6_000_000  # pixels of the largest view, whatever the shape of the picture
COARSEST = 56  # pixels
DONE = 0.85  # share of the picture that, once explained, ends the search
LEAST_AREA = 4500  # pixels of a level below which no more is looked for: about four and a half tiles
REFINED = 3  # best poses of a synchronisation that are refined before they are judged
PILOT = 5.7  # standard deviations of pilot agreement from which a pose is looked into: chance gives up to 5
EXPECTED_PILOT = 3.8  # the same for the expected pose, which is one chance, not thousands
WORTH_REFINING = 0.8  # share of either bound from which refinement is tried
WINDOW = 192  # pixels: side of the windows searched for pieces with a pose of their own
REPETITION = 5.0  # standard deviations of periodicity from which a window is synchronised; unmarked ones reach 5.2
BLACK = 1.5 / 255  # brightest value of the corners that a turned or padded picture gets

Box = tuple[int, int, int, int]  # top, left, bottom, right in pixels of a level


@dataclass(frozen=True)
class Found:
    """One watermark: ``votes`` (32,) signed, ``score`` joint, ``mask_logits`` (h, w) at the level it was found on,
    ``pose`` in pixels of the full picture, ``pattern`` (h, w) the extractor's estimate on that level, ``carrier`` index
    of the one it was read with."""

    votes: Tensor
    score: float
    mask_logits: Tensor
    pose: Pose
    pattern: Tensor
    carrier: int


@dataclass(frozen=True)
class SearchResult:
    """``tried``: regions synchronised, the search's own count of chances to be wrong; ``passes`` of the network;
    ``strongest`` joint score that any pose reached, found or not."""

    found: tuple[Found, ...]
    strongest: float
    tried: int
    passes: int


@torch.inference_mode()
def search(model: WatermarkModel, image: Tensor, *, threshold: float, thorough: bool = False) -> SearchResult:
    """Every watermark of one picture (3, H, W) float in [0, 1]."""
    height, width = image.shape[-2:]
    usual = min(WORKING_SIDE, height, width)
    small = sized(height, width, usual)
    black = empty(resize(image[None], small))
    explained = black.float()[None, None]
    found: list[Found] = []
    tried = passes = 0
    strongest = 0.0
    repetition = 0.0 if thorough else REPETITION
    for short_side in pyramid(min(height, width)):
        size = sized(height, width, short_side)
        if passes and size[0] * size[1] > LARGEST_VIEW:
            break
        view = resize(image[None], size)
        output, flat = model.extract(view), flat_energy(view)
        passes += 1
        for index, carrier in enumerate(model.carriers):
            available = (F.interpolate(explained, size=size, mode="bilinear")[0, 0] < 0.5).float()
            level = LevelSearch(output, available, flat, carrier, threshold=threshold, repetition=repetition)
            expected = Pose.upright(min(size) / usual, device=image.device)
            for pose, cluster in level.run(expected, limit=MOST - len(found)):
                full = pose.rescaled(width / size[1], height / size[0])
                found.append(Found(cluster.votes, cluster.score, cluster.mask_logits, full, level.pattern, index))
                shown = F.interpolate(cluster.mask[None, None].float(), size=small, mode="bilinear")
                explained = torch.maximum(explained, shown)
            tried += level.tried
            strongest = max(strongest, level.strongest)
        whole = bool(found) and float((explained[0, 0] > 0.5)[~black].float().mean()) > DONE
        if len(found) >= MOST or (whole and not thorough):
            break
    return SearchResult(tuple(join_parts(found, (height, width))), strongest, tried, passes)


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
    grown = F.max_pool2d(own, 9, stride=1, padding=4)[0, 0] > 0.5
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
    brightest = F.max_pool2d(view.amax(1, keepdim=True), (9, 1), stride=1, padding=(4, 0))
    return (F.max_pool2d(brightest, (1, 9), stride=1, padding=(0, 4)) <= BLACK)[0, 0]


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
        self,
        output: ExtractorOutput,
        available: Tensor,
        flat: Tensor,
        carrier: Carrier,
        *,
        threshold: float,
        repetition: float,
    ) -> None:
        self.pattern = output.pattern[0, 0]
        self.available, self.flat, self.carrier = available, flat, carrier
        self.threshold, self.repetition = threshold, repetition
        self.tried = 0
        self.strongest = 0.0

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
        self.strongest = max([self.strongest, *(one.score for one in refined)])
        good = [one for one in refined if promise(one) >= 1]
        return [one.pose for one in sorted(good, key=promise, reverse=True)[:2]]

    def _split(self, pose: Pose, limit: int) -> list[Cluster]:
        return split_messages(
            self.pattern, self.available, self.flat, pose, self.carrier, threshold=self.threshold, limit=limit
        )

    def _boxes(self) -> Iterator[Box]:
        """The whole picture, then windows of it."""
        yield 0, 0, self.pattern.shape[0], self.pattern.shape[1]
        yield from self._windows()

    def _windows(self) -> list[Box]:
        """Overlapping square windows that repeat, most first."""
        height, width = self.pattern.shape
        if min(height, width) <= WINDOW or max(height, width) <= 1.5 * WINDOW:
            return []
        tops = range(0, max(1, height - WINDOW // 2), WINDOW // 2)
        lefts = range(0, max(1, width - WINDOW // 2), WINDOW // 2)
        boxes = [(top, left, min(top + WINDOW, height), min(left + WINDOW, width)) for top in tops for left in lefts]
        found = sorted(((self._repetition(box), box) for box in boxes), reverse=True)
        return [box for repetition, box in found if repetition > self.repetition]

    def _repetition(self, box: Box) -> float:
        weight = cut(self.available, box)
        return periodicity(cut(self.pattern, box) * weight, weight) if float(weight.sum()) > LEAST_AREA else 0.0


def cut(field: Tensor, box: Box) -> Tensor:
    """The part of (H, W) inside top, left, bottom, right."""
    top, left, bottom, right = box
    return field[top:bottom, left:right]
