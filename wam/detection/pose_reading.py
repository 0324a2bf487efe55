"""The marks at a proposed pose of a view: read there, followed beyond it, and told whose label they have."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from wam.detection.crop import Part
from wam.detection.homography import Bend, fit_bend
from wam.detection.localization import OUTSIDE
from wam.detection.message_clustering import Cluster, split_messages
from wam.detection.pose_refinement import refine
from wam.detection.sliding_windows import Box
from wam.detection.synchronization import at_pose, label_evidence, votes_at
from wam.detection.view import View
from wam.signal.label import FOREIGN
from wam.signal.pose import Pose

# nats: a mark read under no label is taken for a foreign one where its labelled half speaks against that by more. Of
# marks without a label that are just read .1% come near it, of foreign ones that are read at all and are not faint
# themselves .3% do not reach it
DOUBT = 5.0


@dataclass(frozen=True)
class Proposal:
    """A pose that may be read, in the straight coordinates of ``bend`` if there is one, and the ``way`` it was found,
    for people. ``box``: the window it was found in, if it was; ``given``: the pose of a picture as it was marked, or
    mirrored, not searched for and not moved; ``label``: under which it is read."""

    pose: Pose
    way: str
    bend: Bend | None = None
    box: Box | None = None
    given: bool = False
    label: int = 0


def read_near(
    view: View, available: Tensor, proposal: Proposal, box: Box, limit: int
) -> tuple[list[Cluster], Pose, Bend | None]:
    """As ``read_at``, from the surroundings of the window that the pose was found in, wider as long as the mark goes on
    beyond them or shows too little in them."""
    own = view.config.level
    for around in own.around:
        place = Part.around(box, around, view.size)
        if place.box == (0, 0, *view.size):
            break
        part, near = view.part(place), place.cut(available[None, None])[0, 0]
        pose = place.pose_inside(proposal.pose)
        clusters = _split(part, near, pose, None, limit, given=False)
        last = around == own.around[-1] and not view.whole
        if last or (clusters and not any(place.goes_on(one.mask, own.border) for one in clusters)):
            clusters, pose, bend = _followed(part, near, Proposal(pose, proposal.way), clusters, limit)
            full = [replace(one, mask_logits=place.logits_in_view(one.mask_logits)) for one in clusters]
            return full, place.pose_in_view(pose), None if bend is None else place.bend_in_view(bend)
    return read_at(view, available, proposal, limit)


def read_at(view: View, available: Tensor, proposal: Proposal, limit: int) -> tuple[list[Cluster], Pose, Bend | None]:
    """The marks at a proposed pose, followed along a bend where they go on along one; masks in the view."""
    clusters = _split(view, available, proposal.pose, proposal.bend, limit, given=proposal.given)
    return _followed(view, available, proposal, clusters, limit)


def _followed(
    view: View, available: Tensor, proposal: Proposal, clusters: list[Cluster], limit: int
) -> tuple[list[Cluster], Pose, Bend | None]:
    """Marks at a proposed pose, or what goes on from them along a bend, if that is more; masks in the view."""
    pose, bend, given = proposal.pose, proposal.bend, proposal.given
    if clusters and _uncovered(available, clusters, bend) > view.config.level.unbent:
        field = view.pattern * available
        straight = field if bend is None else bend.straight(field[None])[0]
        start = at_pose(straight * clusters[0].mask, pose, view.carrier, view.config.synchronization)
        bent = fit_bend(field, start, clusters[0].mask, view.carrier, view.config, first=bend)
        further = _split(view, available, bent[1], bent[0], limit, given=False) if bent else []
        # at a given pose it has to gain more than that is ahead by: seldom is a picture as it was marked bent
        if bent and further and further[0].score >= clusters[0].score:
            clusters, (bend, pose) = further, bent
    if given and bend is None:
        clusters = [cluster for cluster in clusters if not _drifts(view, cluster, pose)]
    if bend is None or not clusters:
        return clusters, pose, None
    seen = bend.back(torch.stack([cluster.mask_logits - OUTSIDE for cluster in clusters])) + OUTSIDE
    return [replace(one, mask_logits=logits) for one, logits in zip(clusters, seen, strict=True)], pose, bend


def _uncovered(available: Tensor, clusters: list[Cluster], bend: Bend | None) -> float:
    """Share of what is available that no cluster covers."""
    available = available if bend is None else bend.straight(available[None])[0]
    taken = torch.stack([cluster.mask for cluster in clusters]).any(0)
    return float((available * ~taken).sum() / available.sum().clamp(min=1))


def _drifts(view: View, cluster: Cluster, pose: Pose) -> bool:
    """Whether a part seems to be in its old place only because it lies near one where a turned mark looks alike."""
    field = view.pattern * cluster.mask
    start = at_pose(field, pose, view.carrier, view.config.synchronization)
    refined = refine(field, start, view.carrier, view.config).pose
    turned = (refined.matrix - pose.matrix).norm() / pose.matrix.norm()
    return float(turned) > view.config.level.drift


def _split(view: View, available: Tensor, pose: Pose, bend: Bend | None, limit: int, *, given: bool) -> list[Cluster]:
    """The marks at a pose, in the straight coordinates of a bend if there is one."""
    pattern = view.pattern
    if bend is not None:
        pattern, available = bend.straight(torch.stack([pattern, available]))
    return split_messages(
        pattern,
        available,
        lambda: view.ground if bend is None else view.ground.straight(bend),
        pose,
        view.carrier,
        view.config,
        threshold=view.threshold,
        limit=limit,
        given=given,
    )


def with_own_label(view: View, cluster: Cluster, pose: Pose, bend: Bend | None, label: int) -> tuple[Cluster, int]:
    """A mark that was read at a pose under a label, none or ``FOREIGN``, and the number of the label it has: where the
    labelled half bears that out the one it was read under, else ``FOREIGN``, as the public half alone reads it.

    Of many labels the best was chosen, which by chance speaks for itself by the log of their number.
    """
    if label == FOREIGN:
        field = view.pattern if bend is None else bend.straight(view.pattern[None])[0]
        mask = cluster.mask if bend is None else bend.straight(cluster.mask[None].float())[0] > 0.5
        votes = votes_at(field * mask, pose, view.carrier)
        against = float(label_evidence(votes, view.carrier, view.config.synchronization)) < -DOUBT
        return cluster, FOREIGN if against else 0
    if cluster.evidence >= (math.log(len(view.carrier.labels)) if label > 0 else 0.0) - DOUBT:
        return cluster, label
    return replace(cluster, votes=cluster.public_votes, score=cluster.public_score), FOREIGN
