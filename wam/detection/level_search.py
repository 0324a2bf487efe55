"""One level of the search: the marks of a picture as seen at one resolution, each at a pose of its own.

Poses are proposed in the order of their cost: the expected one, what the whole level and windows of it show, what it
shows as if seen from an angle, and last small parts in their old place. What is found is taken out before the next.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from wam.detection.config import SearchConfig
from wam.detection.crop import Part
from wam.detection.homography import Bend, fit_bend
from wam.detection.lattice_estimation import periodicity
from wam.detection.localization import OUTSIDE, Ground, flat_energy
from wam.detection.message_clustering import Cluster, split_messages
from wam.detection.perspective_proposals import tried_bends
from wam.detection.pose_refinement import refine
from wam.detection.sliding_windows import Box, cut, repetitive_windows
from wam.detection.synchronization import Synchronised, at_pose, synchronise
from wam.networks.extractor import ExtractorOutput
from wam.networks.mask_head import surroundings
from wam.signal.pattern import Carrier
from wam.signal.pose import Pose


def mirrored(pose: Pose, width: int) -> Pose:
    """The pose of a picture of that width, in pixels, after it was mirrored left to right."""
    flip = pose.matrix.new_tensor([[-1.0, 0.0], [0.0, 1.0]])
    return replace(pose, matrix=pose.matrix @ flip, offset=pose.offset + pose.matrix[:, 0] * width)


@dataclass(frozen=True)
class Proposal:
    """A pose that may be read, in the straight coordinates of ``bend`` if there is one, and the ``way`` it was found,
    for people. ``box``: the window it was found in, on levels too large to be read whole; ``given``: the pose of a
    picture as it was marked, or mirrored, not searched for and not moved."""

    pose: Pose
    way: str
    bend: Bend | None = None
    box: Box | None = None
    given: bool = False


@dataclass(frozen=True)
class Candidate:
    """One watermark of a level: ``cluster`` at a ``pose`` in this level's pixels, straight ones if there is a ``bend``;
    ``how`` it was found, for people."""

    pose: Pose
    cluster: Cluster
    bend: Bend | None
    how: str


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
        config: SearchConfig,
        *,
        threshold: float,
        repetition: float,
        head: nn.Module | None = None,
        tilts: bool = False,
        outlined: Bend | None = None,
    ) -> None:
        self.view, self.output, self.head = view, output, head
        self.pattern = output.pattern[0, 0]
        self.available, self.carrier, self.config = available, carrier, config
        self.threshold, self.repetition = threshold, repetition
        most, longest = config.level.largest_whole, config.level.longest_whole
        self.whole = self.pattern.numel() <= most and max(self.pattern.shape) <= longest
        self.tilts = tilts and self.whole
        self.outlined = outlined if self.whole else None
        self.known: Ground | None = None
        self.tried = 0
        self.strongest = 0.0

    def run(self, expected: Pose | None, *, limit: int) -> Iterator[Candidate]:
        """Yields at most ``limit`` watermarks: first the expected pose, then what regions show.

        ``expected``: that of a picture as it was marked, None where it is out of the extractor's sight.
        """
        if limit <= 0:
            return
        for proposal in self._proposals(expected):
            if proposal.box is None:
                clusters, pose, bend = self._read(proposal, limit)
            else:
                clusters, pose, bend = self._read_part(proposal, proposal.box, limit)
            for cluster in clusters:
                limit -= 1
                self.available = self.available * (~cluster.mask)
                yield Candidate(pose, cluster, bend, self._how(proposal.way, bend))
            if limit <= 0:
                return

    def _how(self, way: str, bend: Bend | None) -> str:
        """How a mark was found, for people."""
        height, width = self.pattern.shape
        return f"{way} at {width}x{height}{', bend followed' if bend else ''}"

    def _read_part(self, proposal: Proposal, box: Box, limit: int) -> tuple[list[Cluster], Pose, Bend | None]:
        """As ``_read``, from the surroundings of the window that the pose was found in: large levels hold much else."""
        place = Part.around(box, self.config.level.around, (self.pattern.shape[0], self.pattern.shape[1]))
        part = LevelSearch(
            place.cut(self.view),
            ExtractorOutput(place.cut(self.output.pattern), place.cut(self.output.mask_logits)),
            place.cut(self.available[None, None])[0, 0],
            self.carrier,
            self.config,
            threshold=self.threshold,
            repetition=self.repetition,
            head=self.head,
        )
        inside = Proposal(place.pose_inside(proposal.pose), proposal.way)
        clusters, found, bend = part._read(inside, limit)
        full = [replace(one, mask_logits=place.logits_in_view(one.mask_logits)) for one in clusters]
        return full, place.pose_in_view(found), None if bend is None else place.bend_in_view(bend)

    def _read(self, proposal: Proposal, limit: int) -> tuple[list[Cluster], Pose, Bend | None]:
        """The marks at a proposed pose, followed along a bend where they go on along one; masks in the view."""
        pose, bend, given = proposal.pose, proposal.bend, proposal.given
        clusters = self._split(pose, bend, limit, given=given)
        if clusters and self._left(clusters, bend) > self.config.level.unbent:
            field = self.pattern * self.available
            straight = field if bend is None else bend.straight(field[None])[0]
            start = at_pose(straight * clusters[0].mask, pose, self.carrier, self.config.synchronization)
            bent = fit_bend(field, start, clusters[0].mask, self.carrier, self.config, first=bend)
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
        """Poses worth splitting, lazily: each is sought with what is still available at that time."""
        before_all = float(self.available.sum())
        if expected is not None:
            yield from self._expected(expected)
        if self.outlined is not None and float(self.available.sum()) == before_all:
            for pose in self._bent(self.outlined):
                yield Proposal(pose, "pose found as the outline shows it", self.outlined)
        if self.repetition > 0 and float(self.available.sum()) < self.config.level.rest * before_all:
            return  # the usual end: a whole picture as it was marked
        least = self.config.windows.least_area
        for box in self._boxes():
            whole = box == (0, 0, *self.pattern.shape)
            near = None if self.whole else box
            way = "pose found in the whole view" if whole else "pose found in a window"
            before = float("inf")
            while least < (left := float(cut(self.available, box).sum())) < before:
                before = left  # again as long as something was found here
                for pose in self._in_box(box):
                    yield Proposal(pose, way, box=near)
        if self.tilts and float(self.available.sum()) == before_all:
            yield from self._tilted()
        # a small part in its old place is too little to be noticed whole
        if expected is not None and float(self.available.sum()) > least:
            yield Proposal(expected, "small part in its old place", given=True)
            turned = mirrored(expected, self.pattern.shape[1])
            yield Proposal(turned, "small part in its old place, mirrored", given=True)

    def _expected(self, expected: Pose) -> Iterator[Proposal]:
        """The expected pose or, where that fits better, what refinement makes of it: one that was searched for."""
        field = self.pattern * self.available
        start = at_pose(field, expected, self.carrier, self.config.synchronization)
        for pose in self._worthy(field, [start], pilot=self.config.level.expected_pilot):
            yield Proposal(pose, "expected pose", given=pose is expected)

    def _tilted(self) -> Iterator[Proposal]:
        """Poses under which the whole view repeats once it is seen as if from an angle."""
        maps = torch.stack([self.pattern * self.available, self.available])
        size = (self.pattern.shape[0], self.pattern.shape[1])
        bends = list(tried_bends(size, self.config, like=self.pattern))
        straight = torch.stack([bend.straight(maps) for bend in bends])
        best = periodicity(straight[:, 0], straight[:, 1], self.config.lattice).topk(self.config.level.tilted)
        for repetition, index in zip(best.values.tolist(), best.indices.tolist(), strict=True):
            if repetition > self.repetition:
                for pose in self._bent(bends[index]):
                    yield Proposal(pose, "pose found as seen from an angle", bends[index])

    def _bent(self, bend: Bend) -> list[Pose]:
        """Poses of the whole view in the straight coordinates of a bend."""
        field, weight = bend.straight(torch.stack([self.pattern * self.available, self.available]))
        found = synchronise(field, weight, self.carrier, self.config)
        return self._worthy(field, found, pilot=self.config.level.pilot)

    def _in_box(self, box: Box) -> list[Pose]:
        """Poses of one part of the picture, in coordinates of the whole."""
        weight = cut(self.available, box)
        field = cut(self.pattern, box) * weight
        found = synchronise(field, weight, self.carrier, self.config)
        poses = self._worthy(field, found, pilot=self.config.level.pilot)
        corner = field.new_tensor([box[1], box[0]])
        return [Pose(pose.matrix, pose.offset - pose.matrix @ corner) for pose in poses]

    def _worthy(self, field: Tensor, candidates: list[Synchronised], *, pilot: float) -> list[Pose]:
        """Poses whose joint score or whose pilot alone makes a watermark likely, refined; the best few."""
        own = self.config.level

        def promise(candidate: Synchronised) -> float:
            return max(candidate.score / self.threshold, candidate.pilot / pilot)

        self.tried += 1
        best = sorted(candidates, key=promise, reverse=True)[: own.refined]
        worth = own.worth_refining
        refined = [refine(field, one, self.carrier, self.config) if promise(one) > worth else one for one in best]
        self.strongest = max([self.strongest, *(one.score for one in refined)])
        good = [one for one in refined if promise(one) >= 1]
        return [one.pose for one in sorted(good, key=promise, reverse=True)[: own.read]]

    def _drifts(self, cluster: Cluster, pose: Pose) -> bool:
        """Whether a part seems to be in its old place only because it lies near one where a turned mark looks alike."""
        field = self.pattern * cluster.mask
        start = at_pose(field, pose, self.carrier, self.config.synchronization)
        refined = refine(field, start, self.carrier, self.config).pose
        turned = (refined.matrix - pose.matrix).norm() / pose.matrix.norm()
        return float(turned) > self.config.level.drift

    def _ground(self) -> Ground:
        """What is known of the view whatever the message, made when it is first asked for: most views have no mark."""
        if self.known is None:
            around = surroundings(self.view, self.output.mask_logits)
            self.known = Ground(flat_energy(self.view, self.config.localization), around, self.head)
        return self.known

    def _split(self, pose: Pose, bend: Bend | None, limit: int, *, given: bool) -> list[Cluster]:
        """The marks at a pose, in the straight coordinates of a bend if there is one."""
        pattern, available, ground = self.pattern, self.available, self._ground()
        if bend is not None:
            pattern, available = bend.straight(torch.stack([pattern, available]))
            ground = ground.straight(bend)
        return split_messages(
            pattern,
            available,
            ground,
            pose,
            self.carrier,
            self.config,
            threshold=self.threshold,
            limit=limit,
            given=given,
        )

    def _boxes(self) -> Iterator[Box]:
        """The whole picture, unless that is much more than a mark spans at this scale, then windows of it."""
        if self.whole:
            yield 0, 0, self.pattern.shape[0], self.pattern.shape[1]
        yield from self._windows()

    def _windows(self) -> list[Box]:
        """Overlapping square windows that repeat, most first."""
        height, width = self.pattern.shape
        own = self.config.windows
        seen_whole = self.whole and min(height, width) <= own.side
        if seen_whole or max(height, width) <= own.one_window * own.side:
            return []
        windows = repetitive_windows(self.pattern, self.available, self.config, least=self.repetition)
        return [box for _, box in windows[: self.config.level.most_windows]]
