"""What a search finds, and parts of one mark that were found apart put together."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from wam.detection.config import MergingConfig, SearchConfig
from wam.detection.homography import Bend
from wam.detection.message_clustering import reads_alike
from wam.detection.phase_reversal import Reversal
from wam.signal.filters import box_max
from wam.signal.label import FOREIGN
from wam.signal.pose import Pose
from wam.signal.specification import TILE


@dataclass(frozen=True)
class Found:
    """One watermark: ``votes`` (32,) signed, ``score`` joint, ``mask_logits`` (h, w) at the level it was found on,
    ``pose`` in pixels of the full picture, ``pattern`` (h, w) the extractor's estimate on that level, ``carrier`` index
    of the one it was read with, under ``label`` as ``Carrier.read_as`` counts them, for which the labelled half gives
    ``evidence`` in nats; ``bend`` in pixels of the level: the pose holds for straight coordinates, None where they are
    the picture's own; ``how`` it was found, for people; ``reversal`` that was undone."""

    votes: Tensor
    score: float
    mask_logits: Tensor
    pose: Pose
    pattern: Tensor
    carrier: int
    bend: Bend | None = None
    how: str = ""
    label: int = 0
    evidence: float = 0.0
    reversal: Reversal | None = None

    @property
    def negative(self) -> bool:
        """Whether it was read with light and dark exchanged."""
        return self.reversal is not None and self.reversal.negative


def join_parts(found: list[Found], size: tuple[int, int], config: SearchConfig) -> list[Found]:
    """Parts of one mark that were found apart, on two levels say, as one: same carrier, message and pose, and all of
    them with light and dark exchanged or none."""
    joined: list[Found] = []
    for one in sorted(found, key=lambda part: -part.score):
        own = [other for other in joined if _of_one_mark(one, other, size, config)]
        if not own:
            joined.append(one)
            continue
        strongest = own[0]
        masks = [_resized(part, strongest) for part in (*own, one)]
        whole = replace(strongest, mask_logits=torch.stack(masks).amax(0))
        rest = [whole if other is strongest else other for other in joined]
        joined = [other for other in rest if not any(other is part for part in own)]
    return joined


def _of_one_mark(one: Found, other: Found, size: tuple[int, int], config: SearchConfig) -> bool:
    # a part of a foreign mark may be too small to tell that it is one
    labels = {one.label, other.label}
    same = one.carrier == other.carrier and one.negative == other.negative
    same = same and (len(labels) == 1 or FOREIGN in labels)
    same = same and reads_alike(one.votes, other.votes, config.clustering)
    return same and (_same_place(one, other, size, config.merging) or _touching(one, other, config.merging))


def _resized(one: Found, like: Found) -> Tensor:
    """Mask logits of a part at the level of another."""
    return F.interpolate(one.mask_logits[None, None], size=like.mask_logits.shape, mode="bilinear")[0, 0]


def _touching(one: Found, other: Found, config: MergingConfig) -> bool:
    """Whether parts of alike pose share a border, as pieces of a bent picture do: each is read at a pose of its own."""
    own = F.interpolate((one.mask_logits > 0)[None, None].float(), size=other.mask_logits.shape, mode="bilinear")
    grown = box_max(own, config.border)[0, 0] > 0.5
    turned = (one.pose.matrix - other.pose.matrix).norm() / other.pose.matrix.norm()
    return bool((grown & (other.mask_logits > 0)).any()) and float(turned) < config.touching_turn


def _same_place(one: Found, other: Found, size: tuple[int, int], config: MergingConfig) -> bool:
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
    return float(apart.abs().max()) < config.same_shift and float(turned) < config.same_turn
