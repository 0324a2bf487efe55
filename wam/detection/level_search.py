"""One level of the search: the marks of a view, each at a pose of its own.

Poses are proposed in the order of their cost: the expected one, what the whole view and windows of it repeat on, what
it repeats on as if seen from an angle, and last small parts in their old place. What is found is taken out before the
next. Functions over a frozen view, the map of what is left of it, and a tally of what was tried.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from wam.detection.autocorrelation import autocorrelation
from wam.detection.homography import Bend
from wam.detection.lattice_estimation import comb, same_lattice
from wam.detection.message_clustering import Cluster
from wam.detection.perspective_proposals import tried_bends
from wam.detection.phase_reversal import Reversal
from wam.detection.pose_reading import Proposal, read_at, read_near, with_own_label
from wam.detection.pose_refinement import refine
from wam.detection.sliding_windows import BATCH, BATCH_DEVICE, Box, Measured, Window, all_boxes, cut, sweep
from wam.detection.synchronization import (
    Ranked,
    Synchronised,
    at_pose,
    at_pose_by_label,
    rank_poses,
    synchronise,
    synchronise_on,
)
from wam.detection.view import Tally, Unexplained, View
from wam.signal.label import FOREIGN
from wam.signal.pose import Pose

SMALL_LABELS = 2  # labels besides none under which small parts in their old place are read, the first of the carrier's


def mirrored(pose: Pose, width: int) -> Pose:
    """The pose of a picture of that width, in pixels, after it was mirrored left to right."""
    flip = pose.matrix.new_tensor([[-1.0, 0.0], [0.0, 1.0]])
    return replace(pose, matrix=pose.matrix @ flip, offset=pose.offset + pose.matrix[:, 0] * width)


@dataclass(frozen=True)
class Candidate:
    """One watermark of a level: ``cluster`` at a ``pose`` in this level's pixels, straight ones if there is a ``bend``;
    ``how`` it was found, for people; ``label`` it was read under, as ``Carrier.read_as`` counts them."""

    pose: Pose
    cluster: Cluster
    bend: Bend | None
    how: str
    label: int = 0


@dataclass(frozen=True)
class LevelPlan:
    """What is looked for on a level. ``expected``: the pose of a picture as it was marked, None where it is out of the
    extractor's sight; ``small_parts``: they are looked for in their old place; ``thorough``: all is synchronised,
    whether it repeats or not; ``tilts``: views from an angle are tried; ``fine``: windows are measured on fine lattices
    as well; ``outlined``: the bend that the picture's own outline shows; ``reversal``: was undone in this view, which
    was looked at as it is before: only the expected pose, those of the whole view and small parts in their old place,
    under no label, are asked."""

    expected: Pose | None = None
    small_parts: bool = False
    thorough: bool = False
    tilts: bool = False
    fine: bool = False
    outlined: Bend | None = None
    reversal: Reversal | None = None


def search_level(
    view: View, left: Unexplained, plan: LevelPlan, tally: Tally, measured: Measured, *, limit: int
) -> Iterator[Candidate]:
    """Yields at most ``limit`` watermarks, and takes each out of what is ``left``. The calibration's chance is for one
    region that ``tally`` counts, and includes that a level has given poses for small parts besides.

    ``measured``: the view's windows, kept from carrier to carrier and for who looks at them after.
    """
    if limit <= 0:
        return
    for proposal in _proposals(view, left, plan, tally, measured):
        labelled = view.read_as(proposal.label)
        if proposal.box is None:
            clusters, pose, bend = read_at(labelled, left.map, proposal, limit)
        else:
            clusters, pose, bend = read_near(labelled, left.map, proposal, proposal.box, limit)
        for cluster in clusters:
            own, label = with_own_label(view, cluster, pose, bend, proposal.label)
            if proposal.label == FOREIGN != label:
                continue  # a mark too faint to be read with all frequencies has none that are another's
            limit -= 1
            left.take(cluster.mask)
            yield Candidate(pose, own, bend, _how(view, proposal.way, bend, plan.reversal), label)
        if limit <= 0:
            return


def _how(view: View, way: str, bend: Bend | None, reversal: Reversal | None) -> str:
    """How a mark was found, for people."""
    height, width = view.size
    turned = "" if reversal is None else f", {reversal}"
    return f"{way} at {width}x{height}{', bend followed' if bend else ''}{turned}"


def _proposals(view: View, left: Unexplained, plan: LevelPlan, tally: Tally, measured: Measured) -> Iterator[Proposal]:
    """Poses worth splitting, lazily: each is sought with what is left at that time."""
    before_all = left.area()
    if plan.expected is not None:
        yield from _expected(view, left, plan.expected, tally)
    if plan.outlined is not None and view.whole and not left.takes:
        for one in _bent(view, left, plan.outlined, tally):
            yield Proposal(one.pose, "pose found as the outline shows it", plan.outlined, label=one.label)
    if not plan.thorough and left.takes and left.area() < view.config.level.rest * before_all:
        return  # the usual end: a whole picture as it was marked
    if plan.reversal is None or measured.repeats:  # signs change no lattice
        yield from _whole(view, left, plan, tally, measured)
    if plan.reversal is not None:
        if plan.expected is not None and left.area() > view.config.windows.least_area:
            yield Proposal(plan.expected, "small part in its old place", given=True)
        return
    yield from _windows(view, left, plan, tally, measured)
    if plan.tilts and view.whole and not left.takes and not tally.over:
        yield from _tilted(view, left, plan, tally)
    # a small part in its old place is too little to be noticed whole
    if plan.small_parts and plan.expected is not None and left.area() > view.config.windows.least_area:
        turned = mirrored(plan.expected, view.size[1])
        for label in range(1 + min(len(view.carrier.labels), SMALL_LABELS)):
            yield Proposal(plan.expected, "small part in its old place", given=True, label=label)
            yield Proposal(turned, "small part in its old place, mirrored", given=True, label=label)


def _expected(view: View, left: Unexplained, expected: Pose, tally: Tally) -> Iterator[Proposal]:
    """The expected pose or, where that fits better, what refinement makes of it: one that was searched for. Where
    nothing is read so, the public half by itself may show the mark of a label that is not known."""
    field = view.pattern * left.map
    starts = at_pose_by_label(field, expected, view.carrier, view.config.synchronization)
    for one in _worthy(view, field, starts, tally, pilot=view.config.level.expected_pilot):
        yield Proposal(one.pose, "expected pose", given=one.pose is expected, label=one.label)
    if not left.takes:
        public = at_pose(field, expected, view.carrier.public_half, view.config.synchronization)
        if public.score > view.threshold:
            yield Proposal(expected, "expected pose", given=True, label=FOREIGN)


def _whole(view: View, left: Unexplained, plan: LevelPlan, tally: Tally, measured: Measured) -> Iterator[Proposal]:
    """Poses of the view as a whole; of a small one again as long as something is found."""
    if not view.whole:
        return
    before = -1
    while left.takes > before and left.area() > view.config.windows.least_area and not tally.over:
        before = left.takes
        for one in _poses_of_whole(view, left, plan, tally, measured):
            yield Proposal(one.pose, "pose found in the whole view", label=one.label)
        if view.pattern.numel() > view.config.level.whole_at_once:
            return


def _poses_of_whole(
    view: View, left: Unexplained, plan: LevelPlan, tally: Tally, measured: Measured
) -> list[Synchronised]:
    """Poses on the lattices of the whole view; of a large one on those that its windows show together."""
    field, pilot = view.pattern * left.map, view.config.level.pilot
    if view.pattern.numel() <= view.config.level.whole_at_once:
        found = synchronise(field, left.weights(), view.carrier, view.config, thorough=plan.thorough)
    else:
        if measured.area != left.area():
            boxes = all_boxes(view.size, view.config)
            swept = sweep(view.pattern, left.map, boxes, view.config, thorough=plan.thorough, fine=plan.fine)
            measured.windows.update({window.box: window for window in swept.windows})
            measured.together, measured.area = swept.together, left.area()
        if measured.together is None:
            return []
        found = synchronise_on(measured.together, field, view.carrier, view.config, thorough=plan.thorough)
    measured.repeats = measured.repeats or bool(found)
    return _worthy(view, field, found, tally, pilot=pilot) if found else []


def _windows(view: View, left: Unexplained, plan: LevelPlan, tally: Tally, measured: Measured) -> Iterator[Proposal]:
    """Poses of windows, the most prominent lattices first; then once more where something was found."""
    own = view.config
    boxes = all_boxes(view.size, own)
    if view.whole and max(view.size) <= own.windows.one_window * own.windows.side:
        return
    while boxes and not tally.over:
        windows = measure(view, left, boxes, measured, thorough=plan.thorough, fine=plan.fine)
        ranked = [one for one in windows if one.lattices is not None]
        if not plan.thorough:
            ranked = [one for one in ranked if one.prominence > own.lattice.prominence]
        ranked = sorted(ranked, key=lambda one: -one.prominence)[: own.level.most_windows]
        again: list[Box] = []
        refuted = Refuted(0 if plan.thorough else own.level.refuted, alike=own.lattice.alike)
        takes = left.takes
        while ranked and not tally.over:
            batch, ranked = _next_batch(ranked, refuted, _batch_size(view))
            if not batch:
                break
            found = _ranked(view, left, batch)
            for number, window in enumerate(batch):
                if left.takes > takes and left.area(window.box) < window.area:
                    again.append(window.box)  # something was found there since it was measured
                    continue
                yield from _in_window(view, left, window, found.of(number), tally, refuted)
                if left.takes > takes and left.area(window.box) < window.area:
                    again.append(window.box)
        boxes = [box for box in again if left.area(box) > own.windows.least_area]


def _batch_size(view: View) -> int:
    """How many windows are ranked together."""
    return BATCH if view.pattern.device.type == "cpu" else BATCH_DEVICE


def _next_batch(windows: list[Window], refuted: Refuted, size: int) -> tuple[list[Window], list[Window]]:
    """The next windows whose lattices are not refuted, and those after them."""
    batch: list[Window] = []
    for number, window in enumerate(windows):
        if len(batch) == size:
            return batch, windows[number:]
        if not refuted.holds(window.lattice):
            batch.append(window)
    return batch, []


def _ranked(view: View, left: Unexplained, windows: list[Window]) -> Ranked:
    """Poses of windows on their lattices, in coordinates of each."""
    field = view.pattern * left.map
    fields = torch.stack([cut(field, one.box) for one in windows])
    lattices = torch.stack([one.lattices for one in windows if one.lattices is not None])
    return rank_poses(fields, lattices, view.carrier, view.config.synchronization)


class Refuted:
    """Lattices that windows repeat on without any promise of a mark; ``enough`` windows refute a lattice, 0: none does;
    ``alike``: see ``same_lattice``."""

    def __init__(self, enough: int, *, alike: float) -> None:
        self.enough, self.alike = enough, alike
        self.lattices: list[Tensor] = []

    def holds(self, lattice: Tensor | None) -> bool:
        """Whether enough windows showed nothing on a lattice (2, 2)."""
        if lattice is None or self.enough == 0 or len(self.lattices) < self.enough:
            return False
        return int(same_lattice(torch.stack(self.lattices), lattice, tolerance=self.alike).sum()) >= self.enough

    def add(self, lattice: Tensor | None) -> None:
        """Notes the lattice of a window without promise."""
        if lattice is not None:
            self.lattices.append(lattice)


def measure(
    view: View, left: Unexplained, boxes: list[Box], measured: Measured, *, thorough: bool, fine: bool
) -> list[Window]:
    """Windows of a view, measured anew where less is left of them than when they were measured."""
    known = measured.windows
    areas = left.areas(boxes)
    stale = [box for box, area in zip(boxes, areas, strict=True) if box not in known or area < known[box].area]
    for window in sweep(view.pattern, left.map, stale, view.config, thorough=thorough, fine=fine).windows:
        known[window.box] = window
    return [known[box] for box in boxes]


def _in_window(
    view: View, left: Unexplained, window: Window, found: list[Synchronised], tally: Tally, refuted: Refuted
) -> Iterator[Proposal]:
    """Those of the poses found in one window that are worthy, in coordinates of the view."""
    field = cut(view.pattern, window.box) * cut(left.map, window.box)
    worthy = _worthy(view, field, found, tally, pilot=view.config.level.pilot)
    if not worthy and max(_promise(view, one, view.config.level.pilot) for one in found) < view.config.level.promise:
        refuted.add(window.lattice)
    corner = field.new_tensor([window.box[1], window.box[0]])
    for one in worthy:
        placed = Pose(one.pose.matrix, one.pose.offset - one.pose.matrix @ corner)
        yield Proposal(placed, "pose found in a window", box=window.box, label=one.label)


def _tilted(view: View, left: Unexplained, plan: LevelPlan, tally: Tally) -> Iterator[Proposal]:
    """Poses under which the whole view repeats once it is seen as if from an angle."""
    own = view.config
    maps = (view.pattern * left.map)[None]
    bends = list(tried_bends(view.size, own, like=view.pattern))
    lifts = []
    for bend in bends:
        correlation = autocorrelation(bend.straight(maps), None, own.lattice)
        lifts.append(comb(correlation, own.lattice.scales[0], own.lattice).lift(own.lattice.scales))
    best = torch.cat(lifts).topk(own.level.tilted)
    for lift, index in zip(best.values.tolist(), best.indices.tolist(), strict=True):
        if plan.thorough or lift > own.windows.lift:
            for one in _bent(view, left, bends[index], tally):
                yield Proposal(one.pose, "pose found as seen from an angle", bends[index], label=one.label)


def _bent(view: View, left: Unexplained, bend: Bend, tally: Tally) -> list[Synchronised]:
    """Poses of the whole view in the straight coordinates of a bend."""
    field, weight = bend.straight(torch.stack([view.pattern * left.map, left.map]))
    found = synchronise(field, weight, view.carrier, view.config)
    return _worthy(view, field, found, tally, pilot=view.config.level.pilot) if found else []


def _promise(view: View, candidate: Synchronised, pilot: float) -> float:
    """How near a pose is to being read: 1 from its joint score or its pilot alone."""
    return max(candidate.score / view.threshold_of(candidate.label), candidate.pilot / pilot)


def _worthy(
    view: View, field: Tensor, candidates: list[Synchronised], tally: Tally, *, pilot: float
) -> list[Synchronised]:
    """Poses whose joint score or whose pilot alone makes a watermark likely, refined; the best few."""
    own = view.config.level
    tally.tried += 1
    best = sorted(candidates, key=lambda one: -_promise(view, one, pilot))[: own.refined]
    refined = [
        replace(refine(field, one, view.carrier.read_as(one.label), view.config), label=one.label)
        if _promise(view, one, pilot) > own.worth_refining
        else one
        for one in best
    ]
    tally.strongest = max([tally.strongest, *(one.score for one in refined)])
    good = [one for one in refined if _promise(view, one, pilot) >= 1]
    return sorted(good, key=lambda one: -_promise(view, one, pilot))[: own.read]


def promising(view: View, available: Tensor, tally: Tally) -> bool:
    """Whether the whole of a small view repeats at a pose that is worth refining."""
    tally.tried += 1
    found = synchronise(view.pattern * available, available, view.carrier, view.config)
    best = max((_promise(view, one, view.config.level.pilot) for one in found), default=0.0)
    return best > view.config.level.worth_refining
