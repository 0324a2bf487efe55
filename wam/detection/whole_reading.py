"""A picture that lies in its file as it was marked, read at that one pose: where a search looks first, and no further.

For whoever has marked it just now and asks whether it is read: a tenth of the work beside the network. It says nothing
of where in the picture the mark is, nor of other marks.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from wam.detection.config import SearchConfig
from wam.detection.synchronization import joint_score, label_evidence, votes_at
from wam.networks.watermark_network import WatermarkModel
from wam.signal.filters import resize, sized
from wam.signal.pose import Pose
from wam.signal.specification import WORKING_SIDE


@dataclass(frozen=True)
class WholeReading:
    """``score`` and ``votes`` (32,) as of any found mark; ``evidence`` for the label of the model's own carrier, in
    nats, 0 where it has none."""

    score: float
    votes: Tensor
    evidence: float


@torch.inference_mode()
def read_whole(model: WatermarkModel, image: Tensor, config: SearchConfig) -> WholeReading:
    """The mark of the model's own carrier in a whole picture (3, H, W) in [0, 1]."""
    height, width = image.shape[-2:]
    carrier, own = model.carriers[0], config.synchronization
    with torch.autocast(image.device.type, enabled=False):
        view = resize(image[None], sized(height, width, min(WORKING_SIDE, height, width)))
        votes = votes_at(model.extract(view).pattern[0, 0], Pose.upright(1.0, device=image.device), carrier)
        score, bits = joint_score(votes, carrier, own)
        evidence = 0.0 if carrier.label is None else float(label_evidence(votes, carrier, own))
    return WholeReading(float(score), bits, evidence)
