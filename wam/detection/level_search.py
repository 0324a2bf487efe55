"""One level of the search: the marks of a picture as seen at one resolution, each at a pose of its own.

Poses are proposed in the order of their cost: the expected one, what the whole level and windows of it show, what it
shows as if seen from an angle, and last small parts in their old place. What is found is taken out before the next.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from wam.detection.crop import Part
from wam.detection.homography import Bend, fit_bend
from wam.detection.lattice_estimation import periodicity
from wam.detection.localization import OUTSIDE, Ground, flat_energy
from wam.detection.message_clustering import Cluster, split_messages
from wam.detection.perspective_proposals import tried_bends
from wam.detection.pose_refinement import refine
from wam.detection.sliding_windows import LEAST_AREA, WINDOW, Box, cut, repetitive_windows
from wam.detection.synchronization import Synchronised, at_pose, synchronise
from wam.networks.extractor import ExtractorOutput
from wam.networks.mask_head import surroundings
from wam.signal.pattern import Carrier
from wam.signal.pose import Pose

REFINED = 3  # best poses of a synchronisation that are refined before they are judged
PILOT = 5.7  # standard deviations of pilot agreement from which a pose is looked into: chance gives up to 5
EXPECTED_PILOT = 3.8  # the same for the expected pose, which is one chance, not thousands
WORTH_REFINING = 0.8  # share of either bound from which refinement is tried
LARGEST_WHOLE = 3_000_000  # pixels of a level that is synchronised and read as a whole; larger ones window by window
LONGEST_WHOLE = 8192  # pixels of a side of the same: memory goes with it
AROUND = 400  # pixels beyond a window of those that a mark is followed: larger ones are found on a coarser level
MOST_WINDOWS = 200  # of a level that are synchronised, most repetitive first
DRIFT = 0.012  # relative change of a pose by refinement that an expected pose may have
TILTED = 2  # views from an angle that are synchronised, most repetitive first
REST = 0.08  # share of what was available below which what the expected pose leaves is not looked into
UNBENT = 0.1  # share of what is available that may stay unexplained without looking for a bend


def mirrored(pose: Pose, width: int) -> Pose:
    """The pose of a picture of that width, in pixels, after it was mirrored left to right."""
    flip = pose.matrix.new_tensor([[-1.0, 0.0], [0.0, 1.0]])
    return replace(pose, matrix=pose.matrix @ flip, offset=pose.offset + pose.matrix[:, 0] * width)


@dataclass(frozen=True)
class Proposal:
    """Poses that may be read, in the straight coordinates of ``bend`` if there is one; ``box``: the window they were
    found in, on levels too large to be read whole."""

    poses: list[Pose]
    bend: Bend | None = None
    box: Box | None = None


class LevelSearch:
    """All watermarks of one level. ``available`` shrinks as they are found; ``tried`` counts the regions that a pose
    was sought or expected in, ``strongest`` is the best score of these poses before anything is split.

    The calibration's chance is for one such region, and includes that a level has given poses for small parts besides.

    ``tilts``: views from an angle are tried as well; ``outlined``: the bend that the picture's own outline shows.
    """

    def __init__(
        self,
        view: Tensor,
        output: ExtractorOutput,
        available: Tensor,
        carrier: Carrier,
        *,
        threshold: float,
        repetition: float,
        head: nn.Module | None = None,
        tilts: bool = False,
        outlined: Bend | None = None,
    ) -> None:
        self.view, self.output, self.head = view, output, head
        self.pattern = output.pattern[0, 0]
        self.available, self.carrier = available, carrier
        self.threshold, self.repetition = threshold, repetition
        self.whole = self.pattern.numel() <= LARGEST_WHOLE and max(self.pattern.shape) <= LONGEST_WHOLE
        self.tilts = tilts and self.whole
        self.outlined = outlined if self.whole else None
        self.known: Ground | None = None
        self.way = ""  # how the poses that are being read were found, for people
        self.tried = 0
        self.strongest = 0.0

    def run(self, expected: Pose | None, *, limit: int) -> Iterator[tuple[Pose, Cluster, Bend | None]]:
        """Yields at most ``limit`` watermarks with their pose in this level's pixels: first the expected pose, then
        what regions show.

        ``expected``: that of a picture as it was marked, None where it is out of the extractor's sight.
        """
        if limit <= 0:
            return
        for proposal in self._proposals(expected):
            for pose in proposal.poses:
                if proposal.box is None:
                    clusters, pose, own = self._read(pose, proposal.bend, limit)
                else:
                    clusters, pose, own = self._read_part(pose, proposal.box, limit)
                for cluster in clusters:
                    limit -= 1
                    self.available = self.available * (~cluster.mask)
                    yield pose, cluster, own
                if limit <= 0:
                    return

    def how(self, bend: Bend | None) -> str:
        """How the mark that was yielded last was found, for people."""
        height, width = self.pattern.shape
        return f"{self.way} at {width}x{height}{', bend followed' if bend else ''}"

    def _read_part(self, pose: Pose, box: Box, limit: int) -> tuple[list[Cluster], Pose, Bend | None]:
        """As ``_read``, from the surroundings of the window that the pose was found in: large levels hold much else."""
        place = Part.around(box, AROUND, (self.pattern.shape[0], self.pattern.shape[1]))
        part = LevelSearch(
            place.cut(self.view),
            ExtractorOutput(place.cut(self.output.pattern), place.cut(self.output.mask_logits)),
            place.cut(self.available[None, None])[0, 0],
            self.carrier,
            threshold=self.threshold,
            repetition=self.repetition,
            head=self.head,
        )
        clusters, found, bend = part._read(place.pose_inside(pose), None, limit)
        full = [replace(one, mask_logits=place.logits_in_view(one.mask_logits)) for one in clusters]
        return full, place.pose_in_view(found), None if bend is None else place.bend_in_view(bend)

    def _read(self, pose: Pose, bend: Bend | None, limit: int) -> tuple[list[Cluster], Pose, Bend | None]:
        """The marks at a proposed pose, followed along a bend where they go on along one; masks in the view."""
        given = pose.given
        clusters = self._split(pose, bend, limit, given=given)
        if clusters and self._left(clusters, bend) > UNBENT:
            field = self.pattern * self.available
            straight = field if bend is None else bend.straight(field[None])[0]
            start = at_pose(straight * clusters[0].mask, pose, self.carrier)
            bent = fit_bend(field, start, clusters[0].mask, self.carrier, first=bend)
            further = self._split(bent[1], bent[0], limit, given=False) if bent else []
            # at a given pose it has to gain more than that is ahead by: seldom is a picture as it was marked bent
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

    def _proposals(self, expected: Pose | None) -> Iterator[Proposal]:
        """Poses worth splitting, lazily: each list is made with what is still available at that time."""
        field = self.pattern * self.available
        before_all = float(self.available.sum())
        if expected is not None:
            self.way = "expected pose"
            yield Proposal(self._worthy(field, [at_pose(field, expected, self.carrier)], pilot=EXPECTED_PILOT))
        if self.outlined is not None and float(self.available.sum()) == before_all:
            self.way = "pose found as the outline shows it"
            yield Proposal(self._bent(self.outlined), bend=self.outlined)
        if self.repetition > 0 and float(self.available.sum()) < REST * before_all:
            return  # the usual end: a whole picture as it was marked
        for box in self._boxes():
            whole = box == (0, 0, *self.pattern.shape)
            near = None if self.whole else box
            self.way = "pose found in the whole view" if whole else "pose found in a window"
            before = float("inf")
            while LEAST_AREA < (left := float(cut(self.available, box).sum())) < before:
                before = left  # again as long as something was found here
                yield Proposal(self._in_box(box), box=near)
        if self.tilts and float(self.available.sum()) == before_all:
            self.way = "pose found as seen from an angle"
            yield from self._tilted()
        # a small part in its old place is too little to be noticed whole
        if expected is not None and float(self.available.sum()) > LEAST_AREA:
            self.way = "small part in its old place"
            yield Proposal([expected])
            self.way = "small part in its old place, mirrored"
            yield Proposal([mirrored(expected, self.pattern.shape[1])])

    def _tilted(self) -> Iterator[Proposal]:
        """Poses under which the whole view repeats once it is seen as if from an angle."""
        maps = torch.stack([self.pattern * self.available, self.available])
        size = (self.pattern.shape[0], self.pattern.shape[1])
        bends = list(tried_bends(size, like=self.pattern))
        straight = torch.stack([bend.straight(maps) for bend in bends])
        best = periodicity(straight[:, 0], straight[:, 1]).topk(TILTED)
        for repetition, index in zip(best.values.tolist(), best.indices.tolist(), strict=True):
            if repetition > self.repetition:
                yield Proposal(self._bent(bends[index]), bend=bends[index])

    def _bent(self, bend: Bend) -> list[Pose]:
        """Poses of the whole view in the straight coordinates of a bend."""
        field, weight = bend.straight(torch.stack([self.pattern * self.available, self.available]))
        return self._worthy(field, synchronise(field, weight, self.carrier), pilot=PILOT)

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

    def _ground(self) -> Ground:
        """What is known of the view whatever the message, made when it is first asked for: most views have no mark."""
        if self.known is None:
            around = surroundings(self.view, self.output.mask_logits)
            self.known = Ground(flat_energy(self.view), around, self.head)
        return self.known

    def _split(self, pose: Pose, bend: Bend | None, limit: int, *, given: bool) -> list[Cluster]:
        """The marks at a pose, in the straight coordinates of a bend if there is one."""
        pattern, available, ground = self.pattern, self.available, self._ground()
        if bend is not None:
            pattern, available = bend.straight(torch.stack([pattern, available]))
            ground = ground.straight(bend)
        return split_messages(
            pattern, available, ground, pose, self.carrier, threshold=self.threshold, limit=limit, given=given
        )

    def _boxes(self) -> Iterator[Box]:
        """The whole picture, unless that is much more than a mark spans at this scale, then windows of it."""
        if self.whole:
            yield 0, 0, self.pattern.shape[0], self.pattern.shape[1]
        yield from self._windows()

    def _windows(self) -> list[Box]:
        """Overlapping square windows that repeat, most first."""
        height, width = self.pattern.shape
        seen_whole = self.whole and min(height, width) <= WINDOW
        if seen_whole or max(height, width) <= 1.5 * WINDOW:
            return []
        windows = repetitive_windows(self.pattern, self.available, least=self.repetition)
        return [box for _, box in windows[:MOST_WINDOWS]]
