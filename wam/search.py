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

from wam.bend import Bend, fit_bend
from wam.carrier import TILE, Carrier
from wam.extractor import ExtractorOutput
from wam.maskhead import surroundings
from wam.masks import Ground, flat_energy
from wam.model import WORKING_SIDE, WatermarkModel, resize, sized
from wam.pose import Pose
from wam.refine import refine
from wam.regions import Cluster, reads_alike, split_messages
from wam.sync import Synchronised, at_pose, periodicity, synchronise

MOST = 32  # watermarks in one picture
RATIO = 1.6  # between pyramid levels; each level searches a range of scales a little wider than this
FINEST = 1440  # pixels: largest short side that is looked at
LARGEST_VIEW = 6_000_000  # pixels of the largest view, whatever the shape of the picture
LARGEST_ENLARGED = 400_000  # pixels of a view that is larger than the picture: banners are no thumbnails
COARSEST = 56  # pixels
DONE = 0.85  # share of the picture that, once explained, ends the search
LEAST_AREA = 4500  # pixels of a level below which no more is looked for: about four and a half tiles
REFINED = 3  # best poses of a synchronisation that are refined before they are judged
PILOT = 5.7  # standard deviations of pilot agreement from which a pose is looked into: chance gives up to 5
EXPECTED_PILOT = 3.8  # the same for the expected pose, which is one chance, not thousands
WORTH_REFINING = 0.8  # share of either bound from which refinement is tried
WINDOW = 192  # pixels: side of the windows searched for pieces with a pose of their own
REPETITION = 5.0  # standard deviations of periodicity from which a window is synchronised; unmarked ones reach 5.2
DRIFT = 0.012  # relative change of a pose by refinement that an expected pose may have
TILTS = (0.2, 0.4)  # of views tried as if seen from an angle: change of scale from the middle to a corner
TILTED = 2  # of those that are synchronised, most repetitive first
TILT_LEVELS = (WORKING_SIDE, round(WORKING_SIDE * RATIO))  # short sides on which they are tried, pixels
UNBENT = 0.1  # share of what is available that may stay unexplained without looking for a bend
OUTSIDE = -9.0  # mask logit of places that a bend does not reach
BLACK = 1.5 / 255  # brightest value of the corners that a turned or padded picture gets

Box = tuple[int, int, int, int]  # top, left, bottom, right in pixels of a level


@dataclass(frozen=True)
class Found:
    """One watermark: ``votes`` (32,) signed, ``score`` joint, ``mask_logits`` (h, w) at the level it was found on,
    ``pose`` in pixels of the full picture, ``pattern`` (h, w) the extractor's estimate on that level, ``carrier`` index
    of the one it was read with; ``bend`` in pixels of the level: the pose holds for straight coordinates, None where
    they are the picture's own."""

    votes: Tensor
    score: float
    mask_logits: Tensor
    pose: Pose
    pattern: Tensor
    carrier: int
    bend: Bend | None = None


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
        if short_side > min(height, width) and size[0] * size[1] > LARGEST_ENLARGED:
            continue
        view = resize(image[None], size)
        output = model.extract(view)
        ground = Ground(flat_energy(view), surroundings(view, output.mask_logits), model.mask_head)
        passes += 1
        for index, carrier in enumerate(model.carriers):
            available = (F.interpolate(explained, size=size, mode="bilinear")[0, 0] < 0.5).float()
            level = LevelSearch(output, available, ground, carrier, threshold=threshold, repetition=repetition)
            level.tilts = thorough or short_side in TILT_LEVELS
            # as marked at this size or, a thumbnail, as marked before it was reduced
            expected = Pose.upright(min(size) / (usual if short_side <= usual else WORKING_SIDE), device=image.device)
            for pose, cluster, bend in level.run(expected, limit=MOST - len(found)):
                full = pose.rescaled(width / size[1], height / size[0])
                found.append(Found(cluster.votes, cluster.score, cluster.mask_logits, full, level.pattern, index, bend))
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
    finest = min(short_side, FINEST)
    while side < finest * 1.25 and usual < finest:
        yield round(min(side, finest))
        side *= RATIO


def mirrored(pose: Pose, width: int) -> Pose:
    """The pose of a picture of that width, in pixels, after it was mirrored left to right."""
    flip = pose.matrix.new_tensor([[-1.0, 0.0], [0.0, 1.0]])
    return replace(pose, matrix=pose.matrix @ flip, offset=pose.offset + pose.matrix[:, 0] * width)


class LevelSearch:
    """All watermarks of one level. ``available`` shrinks as they are found; ``tried`` counts synchronisations."""

    def __init__(
        self,
        output: ExtractorOutput,
        available: Tensor,
        ground: Ground,
        carrier: Carrier,
        *,
        threshold: float,
        repetition: float,
    ) -> None:
        self.pattern = output.pattern[0, 0]
        self.available, self.ground, self.carrier = available, ground, carrier
        self.threshold, self.repetition = threshold, repetition
        self.tilts = False
        self.tried = 0
        self.strongest = 0.0

    def run(self, expected: Pose, *, limit: int) -> Iterator[tuple[Pose, Cluster, Bend | None]]:
        """Yields watermarks with their pose in this level's pixels: first the expected pose, then what regions show."""
        for poses, bend in self._proposals(expected):
            for pose in poses:
                clusters, pose, own = self._read(pose, bend, limit, given=pose.given)
                for cluster in clusters:
                    limit -= 1
                    self.available = self.available * (~cluster.mask)
                    yield pose, cluster, own
                if limit <= 0:
                    return

    def _read(
        self, pose: Pose, bend: Bend | None, limit: int, *, given: bool
    ) -> tuple[list[Cluster], Pose, Bend | None]:
        """The marks at a proposed pose, followed along a bend where they go on along one; masks in the view."""
        clusters = self._split(pose, bend, limit, given=given)
        if clusters and self._left(clusters, bend) > UNBENT:
            field = self.pattern * self.available
            straight = field if bend is None else bend.straight(field[None])[0]
            start = at_pose(straight * clusters[0].mask, pose, self.carrier)
            bent = fit_bend(field, start, clusters[0].mask, self.carrier, first=bend)
            further = self._split(bent[1], bent[0], limit, given=False) if bent else []
            if bent and further and further[0].score >= clusters[0].score:
                clusters, (bend, pose) = further, bent
        if given and bend is None:
            clusters = [cluster for cluster in clusters if not self._drifts(cluster, pose)]
        if bend is None or not clusters:
            return clusters, pose, None
        seen = bend.back(torch.stack([cluster.mask_logits - OUTSIDE for cluster in clusters])) + OUTSIDE
        return [replace(one, mask_logits=logits) for one, logits in zip(clusters, seen, strict=True)], pose, bend

    def _left(self, clusters: list[Cluster], bend: Bend | None) -> float:
        """Share of what is available that no cluster covers."""
        available = self.available if bend is None else bend.straight(self.available[None])[0]
        taken = torch.stack([cluster.mask for cluster in clusters]).any(0)
        return float((available * ~taken).sum() / available.sum().clamp(min=1))

    def _proposals(self, expected: Pose) -> Iterator[tuple[list[Pose], Bend | None]]:
        """Poses worth splitting, lazily: each list is made with what is still available at that time."""
        field = self.pattern * self.available
        before_all = float(self.available.sum())
        yield self._worthy(field, [at_pose(field, expected, self.carrier)], pilot=EXPECTED_PILOT), None
        for box in self._boxes():
            before = float("inf")
            while LEAST_AREA < (left := float(cut(self.available, box).sum())) < before:
                before = left  # again as long as something was found here
                yield self._in_box(box), None
        if self.tilts and float(self.available.sum()) == before_all:
            yield from self._tilted()
        if float(self.available.sum()) > LEAST_AREA:  # a small part in its old place is too little to be noticed whole
            yield [expected], None
            yield [mirrored(expected, self.pattern.shape[1])], None

    def _tilted(self) -> Iterator[tuple[list[Pose], Bend | None]]:
        """Poses under which the whole view repeats once it is seen as if from an angle."""
        height, width = self.pattern.shape
        centre = self.pattern.new_tensor([width / 2, height / 2])
        maps = torch.stack([self.pattern * self.available, self.available])
        ranked = []
        for size in TILTS:
            for eighth in range(8):
                angle = torch.tensor(eighth * torch.pi / 4, device=centre.device)
                bend = Bend(centre, torch.stack([angle.cos(), angle.sin()]) * size / centre.norm())
                field, weight = bend.straight(maps)
                ranked.append((periodicity(field, weight), bend, field, weight))
        ranked.sort(key=lambda entry: -entry[0])
        for repetition, bend, field, weight in ranked[:TILTED]:
            if repetition > self.repetition:
                yield self._worthy(field, synchronise(field, weight, self.carrier), pilot=PILOT), bend

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

    def _drifts(self, cluster: Cluster, pose: Pose) -> bool:
        """Whether a part seems to be in its old place only because it lies near one where a turned mark looks alike."""
        field = self.pattern * cluster.mask
        refined = refine(field, at_pose(field, pose, self.carrier), self.carrier).pose
        turned = (refined.matrix - pose.matrix).norm() / pose.matrix.norm()
        return float(turned) > DRIFT

    def _split(self, pose: Pose, bend: Bend | None, limit: int, *, given: bool) -> list[Cluster]:
        """The marks at a pose, in the straight coordinates of a bend if there is one."""
        pattern, available, ground = self.pattern, self.available, self.ground
        if bend is not None:
            pattern, available = bend.straight(torch.stack([pattern, available]))
            ground = ground.straight(bend)
        return split_messages(
            pattern, available, ground, pose, self.carrier, threshold=self.threshold, limit=limit, given=given
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
