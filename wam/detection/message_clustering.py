"""Regions: pattern estimate at one pose -> the distinct messages in it, each with its evidence and mask.

Clustering works on coherent sums over blocks, not on single pixels. Spots with much evidence are seeds; each grows to
the blocks that its message explains better than nothing and better than every message accepted so far. Cost is linear
in the number of blocks, seeds and messages, the order is fixed, and it always ends.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from wam.detection.config import ClusteringConfig, SearchConfig
from wam.detection.localization import OUTSIDE, Ground, message_masks
from wam.detection.synchronization import bit_noise, joint_score, label_evidence, votes_at
from wam.signal.demodulation import BlockVotes, block_votes, limited
from wam.signal.filters import box_max, gaussian
from wam.signal.pattern import Carrier
from wam.signal.pose import Pose
from wam.signal.specification import BITS


@dataclass(frozen=True)
class Cluster:
    """``votes`` (32,) signed; ``score`` joint score; ``mask_logits`` (H, W), positive where the message is.

    ``evidence`` for the label that it was read under, see ``label_evidence``; ``public_votes`` and ``public_score``:
    the same of the public half alone.
    """

    votes: Tensor
    score: float
    mask_logits: Tensor
    evidence: float
    public_votes: Tensor
    public_score: float

    @property
    def mask(self) -> Tensor:
        """(H, W) bool."""
        return self.mask_logits > 0


@dataclass(frozen=True)
class Reading:
    """A message while it is being told apart: ``votes`` (32,), ``score``, ``claim`` (rows, columns) its evidence,
    ``window`` (2, 32) bit votes of the window it is judged in, and what chance would read there; ``total`` (K, 2)
    limited votes of all its blocks and ``windows`` (W, K, 2) those of all windows; ``bonus`` that the score has for a
    pose that was given."""

    votes: Tensor
    score: float
    claim: Tensor
    window: Tensor
    total: Tensor
    windows: Tensor
    bonus: float

    def apart_from(self, other: Reading) -> float:
        """Evidence of the bits alone, where two messages differ: the pilot speaks for both.

        Without this, a place where a marked picture reads badly would pass for a mark of its own.
        """
        sign = self.votes.sign()
        return float((self.window[0] * sign - self.window[1])[sign != other.votes.sign()].sum())


def split_messages(
    pattern: Tensor,
    available: Tensor,
    known: Callable[[], Ground],
    pose: Pose,
    carrier: Carrier,
    config: SearchConfig,
    *,
    threshold: float,
    limit: int,
    given: bool = False,
) -> list[Cluster]:
    """All messages at one pose with a score of at least ``threshold``, strongest first.

    pattern, available (H, W): the estimate, and where to look; ``known`` makes the ground, see ``localization``, once
    there is something to read. ``given``: the pose was not searched for, so that a message that is alone there is
    ahead by some score, and nothing is read unless some spot shows evidence.
    """
    own = config.clustering
    votes = block_votes(pattern * available, pose, carrier, block=own.block)
    room = (_to_blocks(available, own.block) > 0.5 * own.block**2).to(pattern)
    seeds, evidence = _seeds(votes, room, own)
    if given and evidence < own.evidence:
        return []
    ground = known()
    energy = torch.maximum(votes.energy, 0.5 * _to_blocks(ground.flat * available, own.block))
    splitter = _Splitter(votes, room, energy, carrier, config, threshold=threshold, given=given)
    readings = splitter.run(seeds, limit)
    if not readings:
        return []
    messages = torch.stack([reading.votes for reading in readings])
    logits = message_masks(pattern, messages, pose, carrier, ground, config)
    logits = torch.where(available > 0.5, logits, torch.full_like(logits, OUTSIDE))
    return _read_again(pattern, readings, logits, pose, carrier, config)


def reads_alike(one: Tensor, other: Tensor, config: ClusteringConfig) -> bool:
    """Whether two readings (32,) are likely of one message: no more than two bits clearly differ.

    Words differ in six bits at least; bits that are wrong by noise are seldom clear ones.
    """
    clear = (one.abs() > config.clear) & (other.abs() > config.clear)
    differ = int(((one > 0) != (other > 0))[clear].sum())
    return differ <= config.clear_alike and float(F.cosine_similarity(one, other, dim=0)) > config.same


def stands_beside(one: Reading, other: Reading, config: ClusteringConfig) -> bool:
    """Whether the weaker of two messages at one pose is a message of its own. One that differs little and is much
    weaker is likelier the other, read badly in places."""
    differing = int((one.votes.sign() != other.votes.sign()).sum())
    shadow = differing < config.alike_bits and other.score > config.overshadowed * one.score
    return one.apart_from(other) > (config.distinct_overshadowed if shadow else config.distinct)


class _Splitter:
    """The blocks of one estimate at one pose, and the messages told apart so far."""

    def __init__(
        self,
        votes: BlockVotes,
        room: Tensor,
        energy: Tensor,
        carrier: Carrier,
        config: SearchConfig,
        *,
        threshold: float,
        given: bool,
    ) -> None:
        self.carrier, self.threshold, self.given = carrier, threshold, given
        self.config, self.evidence = config.clustering, config.synchronization
        self.votes, self.open, self.energy = votes, room, energy
        self.gain = (2.0 / len(carrier.phases)) ** 0.5  # of the pattern's cosines, see Carrier.render

    def run(self, seeds: Tensor, limit: int) -> list[Reading]:
        """Adds the message that explains most of what is left, as long as its score is above the threshold."""
        accepted: list[Reading] = []
        for _ in range(
            2 * limit + self.config.spare_rounds if limit > 0 else 0
        ):  # a mixture falls apart in rounds of its own
            new = self._next(seeds, accepted)
            if new is None:
                break
            settled = self._settle([*accepted, new])
            if len(settled) <= len(accepted) and all(self._held(one, accepted) for one in settled):
                break
            accepted = settled
        distinct: list[Reading] = []
        for one in sorted(accepted, key=lambda one: -one.score):
            if all(stands_beside(one, other, self.config) for other in distinct):
                distinct.append(one)
        return distinct[:limit]

    def _next(self, seeds: Tensor, accepted: list[Reading]) -> Reading | None:
        """The message that explains most of what the accepted ones leave, if it is one."""
        grown, explained = self._grow(seeds, accepted)
        for index in explained.topk(min(self.config.tries, len(seeds))).indices.tolist():
            reading = self._read(grown[index], accepted)
            if reading is not None and reading.score >= self.threshold:
                return reading
        return None

    def _settle(self, readings: list[Reading]) -> list[Reading]:
        """Every message read again where it wins against all others; what loses its evidence goes."""
        kept: list[Reading] = []
        for index, reading in enumerate(readings):
            again = self._read(self._limited(reading.votes), kept + readings[index + 1 :])
            if again is not None and again.score >= self.threshold:
                kept = self._join(kept, again)
        return kept

    def _grow(self, seeds: Tensor, others: list[Reading]) -> tuple[Tensor, Tensor]:
        """Messages (S, 32) grown from seeds over what others leave, and how much each explains (S,)."""
        rival = _rival(self.energy, others)
        messages = self._limited(seeds)
        for _ in range(self.config.rounds):
            lift = (self._claims(messages) - rival) * self.open
            members = (lift > 0).to(rival)
            messages = self._limited(torch.einsum("srk,rkb->sb", members, self.votes.real[..., :BITS]))
        lift = (self._claims(messages) - rival) * self.open
        return messages, lift.clamp(min=0).sum((1, 2))

    def _read(self, message: Tensor, others: list[Reading]) -> Reading | None:
        """One message from the blocks where it beats all others, with the score it reaches in a window."""
        rival = _rival(self.energy, others)
        members = torch.zeros_like(rival)
        for _ in range(2):
            claim = self._claims(message[None])[0]
            members = (claim > rival).to(rival) * self.open
            message = self._limited((self.votes.real[..., :BITS] * members[..., None]).sum((0, 1)))
        if float(members.sum()) < self.config.least_blocks:
            return None
        total = self._total(members[None])
        votes = joint_score(total, self.carrier, self.evidence)[1][0]
        left = self.open * (rival <= claim.clamp(min=0))  # what others explain better says nothing about this one
        score, window, windows = self._score(claim - rival, left, votes)
        bonus = self.config.given_pose if self.given and not others else 0.0
        return Reading(
            votes, score + bonus, self._claims(self._limited(votes)[None])[0], window, total[0], windows, bonus
        )

    def _score(self, lift: Tensor, left: Tensor, message: Tensor) -> tuple[float, Tensor, Tensor]:
        """Joint score of the best window, its bit votes and what chance would read (2, 32), and the votes of all.

        Windows are of fixed shape, since members picked one by one would fit noise as well.
        """
        rows, columns = lift.shape
        y = torch.arange(rows, device=lift.device)[:, None]
        x = torch.arange(columns, device=lift.device)[None]
        windows = [left]
        for size in self.config.judged:
            peak = int((gaussian(lift[None], size, border="zeros")[0] * self.open).argmax())
            distance = (y - peak // columns).square() + (x - peak % columns).square()
            windows.append(torch.exp(-0.5 * distance / size**2) * left)
        total = self._total(torch.stack(windows))
        scores, votes = joint_score(total, self.carrier, self.evidence, message=message)
        best = int(scores.argmax())
        return float(scores[best]), torch.stack([votes[best], bit_noise(total[best], self.carrier)]), total

    def _total(self, weights: Tensor) -> Tensor:
        """Limited votes (W, K, 2) of blocks weighted by (W, rows, columns)."""
        total = weights.flatten(1) @ self.votes.coefficients.flatten(0, 1).flatten(1)
        return limited(total.view(len(weights), -1, 2))

    def _claims(self, messages: Tensor) -> Tensor:
        """How much better messages (S, 32) explain each block than no mark: log-likelihood, see ``localization``."""
        signs = torch.cat([messages, messages.new_ones(len(messages), 1)], dim=1)
        ratio = self.gain * torch.einsum("rkb,sb->srk", self.votes.real, signs) - self.energy
        return gaussian(ratio * self.open, self.config.claim_window, border="zeros")

    def _held(self, reading: Reading, accepted: list[Reading]) -> bool:
        """Whether a message is among the accepted ones already."""
        return any(reads_alike(reading.votes, known.votes, self.config) for known in accepted)

    def _limited(self, votes: Tensor) -> Tensor:
        """Signs of a message, smaller where the votes are unsure."""
        middle = votes.abs().median(-1, keepdim=True).values
        return torch.tanh(self.config.sharpness * votes / (middle + 1e-9))

    def _join(self, readings: list[Reading], new: Reading) -> list[Reading]:
        """Adds a reading, or strengthens the one that reads alike."""
        for index, old in enumerate(readings):
            if reads_alike(old.votes, new.votes, self.config):
                better = max(old, new, key=lambda one: one.score)
                better = replace(better, claim=torch.maximum(old.claim, new.claim))
                return [*readings[:index], better, *readings[index + 1 :]]
        return [*readings, new]


def _seeds(votes: BlockVotes, room: Tensor, config: ClusteringConfig) -> tuple[Tensor, float]:
    """Readings (S, 32) of everything at once and of the spots with most evidence, and the most that a spot shows, in
    standard deviations; ``room`` (rows, columns): blocks that are available."""
    spots = [(float("inf"), (votes.real[..., :BITS] * room[..., None]).sum((0, 1)))]
    for window in config.windows:
        local = local_votes(votes, room, window)
        bits, pilot = local[:BITS], local[BITS]
        evidence = ((bits.square().sum(0) - BITS) / (2 * BITS) ** 0.5 + pilot) * room
        highest = box_max(evidence, 2 * config.spacing + 1)
        peaks = torch.nonzero((evidence >= highest) & (evidence > 0))
        heights = evidence[peaks[:, 0], peaks[:, 1]].tolist()
        spots += [(height, bits[:, y, x]) for height, (y, x) in zip(heights, peaks.tolist(), strict=True)]
    spots.sort(key=lambda spot: -spot[0])
    most = max(config.seeds // 4, min(config.seeds, config.seed_blocks // room.numel()))
    strongest = spots[1][0] if len(spots) > 1 else 0.0
    return torch.stack([bits for _, bits in spots[:most]]), strongest


def _rival(like: Tensor, others: list[Reading]) -> Tensor:
    """The best claim that others have on each block, at least zero."""
    return torch.stack([torch.zeros_like(like), *(other.claim for other in others)]).amax(0)


def _read_again(
    pattern: Tensor, readings: list[Reading], logits: Tensor, pose: Pose, carrier: Carrier, config: SearchConfig
) -> list[Cluster]:
    """Every pixel goes to its best message; bits are read once more from exactly the pixels of the mask."""
    best = logits.max(0).values
    clusters = []
    for index, reading in enumerate(readings):
        own = torch.where(logits[index] >= best, logits[index], torch.full_like(best, OUTSIDE))
        if not bool((own > 0).any()):
            continue
        total = votes_at(pattern * (own > 0), pose, carrier)
        again = joint_score(total, carrier, config.synchronization)[1]
        better = float(again.abs().sum()) > float(reading.votes.abs().sum())  # else the mask has lost evidence
        votes, total = (again, total) if better else (reading.votes, reading.total)
        evidence, public_votes, public_score = _public_reading(total, reading, carrier, config)
        clusters.append(Cluster(votes, reading.score, own, evidence, public_votes, public_score))
    return sorted(clusters, key=lambda cluster: -cluster.score)


def _public_reading(
    total: Tensor, reading: Reading, carrier: Carrier, config: SearchConfig
) -> tuple[float, Tensor, float]:
    """Evidence for the label in the votes (K, 2) of a message, and what the public half alone reads: votes and score,
    judged in the same windows."""
    half, kept = carrier.public_half, ~carrier.labelled
    evidence = float(label_evidence(total, carrier, config.synchronization))
    votes = joint_score(total[kept], half, config.synchronization)[1]
    scores = joint_score(reading.windows[:, kept], half, config.synchronization, message=votes)[0]
    return evidence, votes, float(scores.max()) + reading.bonus


def local_votes(votes: BlockVotes, available: Tensor, window: float) -> Tensor:
    """Bits and pilot in the window around each block, in units of noise: -> (33, rows, columns).

    The noise is what the same windows show in quadrature, where no message is, around the blocks that remain: elsewhere
    the windows hold next to nothing, and their ratio is anything.
    """
    spread = (gaussian((votes.energy * available)[None], window / 2**0.5, border="zeros") + 1e-6).sqrt()
    parts = torch.cat([votes.real, votes.imaginary], dim=-1) * available[..., None]
    both = gaussian(parts.permute(2, 0, 1), window, border="zeros") / spread
    real, null = both[: BITS + 1], both[BITS + 1 :]
    noise = (null.square() * available).sum((1, 2)) / available.sum().clamp(min=1)
    each = torch.cat([noise[:BITS].mean().expand(BITS), noise[BITS:]])  # the pilot has more frequencies than a bit
    return real / (each.sqrt() + 1e-6)[:, None, None]


def _to_blocks(field: Tensor, block: int) -> Tensor:
    """Sums over blocks: (H, W) -> (rows, columns), the border padded with zeros."""
    height, width = field.shape
    padded = F.pad(field, (0, -width % block, 0, -height % block))
    return F.avg_pool2d(padded[None, None], block)[0, 0] * block**2
