"""Regions: pattern estimate at one pose -> the distinct messages in it, each with its evidence and mask.

Clustering works on coherent sums over blocks, not on single pixels, and grows one message at a time: its cost is linear
in the number of blocks and of messages, and it always ends.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from wam.carrier import BITS, Carrier
from wam.demodulate import BLOCK, BlockVotes, block_votes, gaussian
from wam.masks import message_masks
from wam.pose import Pose
from wam.sync import at_pose

WINDOW = 2.5  # blocks: standard deviation of the window for local bits
ROUNDS = 3  # of assigning blocks and reading the message again
AGREEMENT = 0.35  # cosine between a block's bits and a message, above which they may be the same
PURITY = 0.65  # the same where bits stand far above the noise: words that differ in six bits have .625
AFFINITY = 2.0  # the same in units of noise
CLEAR = 1.2  # vote from which a bit is rarely wrong
SAME = 0.5  # cosine between two readings above which they are one message
CLAIM_LEVEL = 0.0  # mask logit above which a pixel belongs to a message


@dataclass(frozen=True)
class Cluster:
    """``votes`` (32,) signed; ``score`` joint score; ``mask_logits`` (H, W), positive where the message is."""

    votes: Tensor
    score: float
    mask_logits: Tensor

    @property
    def mask(self) -> Tensor:
        """(H, W) bool."""
        return self.mask_logits > CLAIM_LEVEL


def split_messages(
    pattern: Tensor,
    available: Tensor,
    expected: Tensor,
    pose: Pose,
    carrier: Carrier,
    *,
    threshold: float,
    limit: int,
) -> list[Cluster]:
    """All messages at one pose with a score of at least ``threshold``, strongest first.

    pattern, available, expected (H, W): the extractor's estimate, where to look, and ``masks.flat_energy``.
    """
    field = pattern * available
    votes = block_votes(field, pose, carrier)
    remaining = torch.ones_like(votes.energy)
    messages: list[tuple[float, Tensor]] = []
    while len(messages) < limit:
        found = _strongest(field, votes, remaining, pose, carrier, first=not messages)
        if found is None or found[0] < threshold:
            break
        score, message, members = found
        messages.append((score, message))
        remaining = remaining * (1 - _grow(members))
    if not messages:
        return []
    messages = _merge(messages)
    logits = message_masks(pattern, torch.stack([m for _, m in messages]), pose, carrier, expected)
    logits = torch.where(available > 0.5, logits, torch.full_like(logits, -9.0))
    return _read_again(pattern, messages, logits, pose, carrier, threshold)


def reads_alike(one: Tensor, other: Tensor) -> bool:
    """Whether two readings (32,) are likely of one message: no more than two bits clearly differ.

    Words differ in six bits at least; bits that are wrong by noise are seldom clear ones.
    """
    clear = (one.abs() > CLEAR) & (other.abs() > CLEAR)
    differ = int(((one > 0) != (other > 0))[clear].sum())
    return differ <= 2 and float(F.cosine_similarity(one, other, dim=0)) > SAME


def _merge(messages: list[tuple[float, Tensor]]) -> list[tuple[float, Tensor]]:
    """Joins parts that read alike: words of different marks differ in about half of their bits, in six at least."""
    merged: list[tuple[float, Tensor]] = []
    for score, message in messages:
        for index, (other_score, other) in enumerate(merged):
            if reads_alike(message, other):
                share = score / (score + other_score)
                merged[index] = (max(score, other_score), other * (1 - share) + message * share)
                break
        else:
            merged.append((score, message))
    return merged


def _read_again(
    pattern: Tensor,
    messages: list[tuple[float, Tensor]],
    logits: Tensor,
    pose: Pose,
    carrier: Carrier,
    threshold: float,
) -> list[Cluster]:
    """Every pixel goes to its best message; bits are read once more from exactly the pixels of the mask."""
    best = logits.max(0).values
    clusters = []
    for index, (score, message) in enumerate(messages):
        own = torch.where(logits[index] >= best, logits[index], torch.full_like(best, -9.0))
        again = at_pose(pattern * (own > CLAIM_LEVEL), pose, carrier)
        if not bool((own > CLAIM_LEVEL).any()):
            continue
        if again.score >= score:
            clusters.append(Cluster(again.bit_votes, again.score, own))
        elif score >= threshold:  # a mask that lost evidence: keep what the blocks said
            clusters.append(Cluster(message, score, own))
    return sorted(clusters, key=lambda cluster: -cluster.score)


def _strongest(
    field: Tensor, votes: BlockVotes, remaining: Tensor, pose: Pose, carrier: Carrier, *, first: bool
) -> tuple[float, Tensor, Tensor] | None:
    """The message with the highest joint score among two seeds: everything that remains, and the best single spot."""
    local = local_bits(votes, remaining)
    strength = local.abs().sum(0) * (remaining > 0)
    spot = int(strength.flatten().argmax())
    seeds = [local.flatten(1)[:, spot]]
    if first:
        seeds.append((votes.real * remaining[..., None]).sum((0, 1))[:BITS])
    best: tuple[float, Tensor, Tensor] | None = None
    for seed in seeds:
        members = _gather(seed, local, votes, remaining)
        for region in [members] + ([remaining] if first else []):
            weight = F.interpolate(region[None, None], scale_factor=BLOCK, mode="nearest")[0, 0]
            read = at_pose(field * weight[: field.shape[0], : field.shape[1]], pose, carrier)
            if float(region.sum()) > 0 and (best is None or read.score > best[0]):
                best = (read.score, read.bit_votes, members if float(members.sum()) > 0 else region)
    return best


def _gather(seed: Tensor, local: Tensor, votes: BlockVotes, remaining: Tensor) -> Tensor:
    """Blocks that agree with a message, read again and again: -> members (rows, columns) 0 or 1."""
    message = seed
    members = torch.zeros_like(remaining)
    length = local.norm(dim=0) + 1e-6
    clear = (1 - BITS / length.square()).clamp(min=0).sqrt()  # the cosine that noise leaves to the right message
    least = (PURITY * clear).clamp(min=AGREEMENT)
    for _ in range(ROUNDS):
        direction = message / (message.abs() + message.abs().median() + 1e-6)
        direction = direction / (direction.norm() + 1e-6)
        projection = (direction[:, None, None] * local).sum(0)
        members = ((projection > AFFINITY) & (projection / length > least)).float() * (remaining > 0)
        if float(members.sum()) == 0:
            break
        message = (votes.real[..., :BITS] * members[..., None]).sum((0, 1))
    return members


def local_bits(votes: BlockVotes, remaining: Tensor) -> Tensor:
    """Bits in the window around each block, in units of noise: -> (32, rows, columns).

    The noise is what the same windows show in quadrature, where no message is, around the blocks that remain: elsewhere
    the windows hold next to nothing, and their ratio is anything.
    """
    spread = (gaussian((votes.energy * remaining)[None], WINDOW / 2**0.5, border="zeros") + 1e-6).sqrt()
    parts = torch.cat([votes.real[..., :BITS], votes.imaginary[..., :BITS]], dim=-1) * remaining[..., None]
    real, null = (gaussian(parts.permute(2, 0, 1), WINDOW, border="zeros") / spread).split(BITS)
    noise = (null.square().mean(0) * remaining).sum() / remaining.sum().clamp(min=1)
    return real / (noise.sqrt() + 1e-6)


def _grow(members: Tensor) -> Tensor:
    """Members and their neighbours."""
    return F.max_pool2d(members[None, None], 3, stride=1, padding=1)[0, 0]
