"""Synchronisation: pattern estimate -> poses under which a watermark may be read, best first.

Three steps, each for all candidates at once. The autocorrelation of the estimate has peaks on the carrier's lattice
whatever the message, so a comb over scale and angle proposes lattices; a local search over all four lattice components
takes up shear and aspect; the pilot then decides between the eight turns and mirrors of a lattice and gives the shift.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from wam.detection.config import SearchConfig, SynchronizationConfig
from wam.detection.lattice_estimation import autocorrelation, comb, peak_lattices, refine_lattices, stretched_comb
from wam.signal.pattern import Carrier
from wam.signal.pose import Pose
from wam.signal.specification import BITS, TILE

# turns by 0, 90, 180, 270 degrees, then the same after a left-right mirror
_TURNS = (((1, 0), (0, 1)), ((0, -1), (1, 0)), ((-1, 0), (0, -1)), ((0, 1), (-1, 0)))
_MIRRORED = (((-1, 0), (0, 1)), ((0, 1), (1, 0)), ((1, 0), (0, -1)), ((0, -1), (-1, 0)))
SYMMETRIES = torch.tensor((*_TURNS, *_MIRRORED), dtype=torch.float32)


@dataclass(frozen=True)
class Synchronised:
    """A pose and its evidence. ``score``: see ``joint_score``; ``bit_votes`` (32,): signed, about +-3 when certain;
    ``pilot``: pilot agreement in standard deviations of random phases, before maximising over shifts."""

    pose: Pose
    score: float
    bit_votes: Tensor
    pilot: float


def synchronise(pattern: Tensor, weight: Tensor, carrier: Carrier, config: SearchConfig) -> list[Synchronised]:
    """Searches one region: pattern, weight (H, W) -> candidates, best first."""
    field = pattern * weight
    if float(field.square().sum()) <= 1e-6:
        return []
    correlation, overlap = autocorrelation(field, weight, config.lattice)
    ways = (comb, stretched_comb, peak_lattices)
    proposed = torch.cat([propose(correlation, overlap, config.lattice) for propose in ways])
    lattices = refine_lattices(correlation, overlap, proposed, config.lattice)
    matrices = torch.linalg.inv(lattices / TILE)
    return rank_poses(field, matrices, carrier, config.synchronization)


def rank_poses(field: Tensor, matrices: Tensor, carrier: Carrier, config: SynchronizationConfig) -> list[Synchronised]:
    """Shift, turn and mirror for each lattice by the pilot, then the joint score of the best: sorted candidates."""
    votes = limited(raw_coefficients(field, matrices, carrier))  # (C, K, 2)
    index, conjugate = symmetry_table(carrier)
    turned = votes[:, index]  # (C, 8, K, 2)
    turned = torch.stack([turned[..., 0], turned[..., 1] * conjugate], dim=-1)
    rotated = _times_phase(turned, -carrier.phases)
    side = config.shifts
    surface = pilot_surface(rotated, carrier, shifts=side)  # (C, 8, S, S)
    flat = surface.flatten(0, 1).flatten(1)
    best = flat.max(1)
    chosen = best.values.topk(min(config.judged, len(best.values))).indices
    cell = best.indices[chosen]
    shifts = torch.stack([cell % side, cell // side], dim=1).to(carrier.frequencies) * (TILE / side)
    angles = 2 * math.pi / TILE * (shifts @ carrier.frequencies.T)
    aligned = _times_phase(rotated.flatten(0, 1)[chosen], angles)
    turns = SYMMETRIES.to(field.device)[chosen % 8] @ matrices[chosen // 8]
    poses = [Pose(matrix, -shift) for matrix, shift in zip(turns, shifts.to(field), strict=True)]
    return sorted(_judge(aligned, poses, carrier, config), key=lambda found: -found.score)


def at_pose(field: Tensor, pose: Pose, carrier: Carrier, config: SynchronizationConfig) -> Synchronised:
    """Evidence of a weighted estimate (H, W) at one given pose."""
    coefficients = carrier.project(field[None], pose.matrix[None], pose.offset[None])[0]
    return _judge(limited(coefficients)[None], [pose], carrier, config)[0]


def _judge(votes: Tensor, poses: list[Pose], carrier: Carrier, config: SynchronizationConfig) -> list[Synchronised]:
    """Evidence at poses: limited votes (C, K, 2) turned to each."""
    scores, bits = joint_score(votes, carrier, config)
    known = votes[:, carrier.is_pilot]
    pilots = known[..., 0].sum(-1) / ((known.square().sum((1, 2)) / 2).sqrt() + 1e-6)
    rows = zip(poses, scores.tolist(), bits, pilots.tolist(), strict=True)
    return [Synchronised(*row) for row in rows]


def raw_coefficients(field: Tensor, matrices: Tensor, carrier: Carrier) -> Tensor:
    """Lattice coefficients with the carrier's phases left in: field (H, W), matrices (C, 2, 2) -> (C, K, 2)."""
    fields = field.expand(len(matrices), *field.shape)
    removed = carrier.project(fields, matrices, matrices.new_zeros(len(matrices), 2))
    return _times_phase(removed, carrier.phases)


def limited(coefficients: Tensor) -> Tensor:
    """Limits each frequency's vote: z / (|z| + median |z|), so that the picture's own texture cannot outvote a bit."""
    magnitude = coefficients.norm(dim=-1, keepdim=True)
    middle: Tensor = magnitude.median(dim=-2, keepdim=True).values
    output: Tensor = coefficients / (magnitude + middle + 1e-9)
    return output


def pilot_surface(votes: Tensor, carrier: Carrier, *, shifts: int) -> Tensor:
    """Pilot agreement at every shift: votes (..., K, 2), phases removed -> (..., S, S) indexed [shift y, shift x], so
    many ``shifts`` each way."""
    pilot = carrier.is_pilot
    column, row = (carrier.frequencies[pilot].long() % shifts).unbind(1)
    spectrum = torch.zeros(*votes.shape[:-2], shifts, shifts, dtype=torch.complex64, device=votes.device)
    spectrum[..., row, column] = torch.view_as_complex(votes[..., pilot, :].contiguous().float())
    surface: Tensor = torch.fft.ifft2(spectrum).real
    return surface * shifts**2


def joint_score(
    votes: Tensor, carrier: Carrier, config: SynchronizationConfig, *, message: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Evidence at one pose: votes (..., K, 2) -> scores (...) and signed bit votes (..., 32).

    The score is the log of the likelihood ratio of a mark to random phases, in nats, at the amplitude that suits best.
    A limited vote is Gaussian with the variance s that all votes of the pose show, about 0 without and about plus or
    minus an amplitude m with a mark. Pilot votes, of known sign, give m v / s - m^2 / (2 s) each. A bit's n votes sum
    to r, and their common sign is unknown: log cosh(m r / s) - n m^2 / (2 s). With ``message`` (..., 32), signed, the
    signs are those, log 2 dearer each. One amplitude for all: a strong pilot without bits, as where several messages
    lie on one another, is no mark, nor are bits with the pilot turned over: a negative, whose bits are another word's.
    """
    real = votes[..., 0]
    bits, pilot = _sum_bits(real, carrier), real[..., carrier.is_pilot].sum(-1)
    spread = (votes.square().sum(-1).mean(-1, keepdim=True) / 2).clamp(min=1e-6)
    amplitude = torch.tensor(config.amplitudes, device=votes.device)
    drive = amplitude / spread  # (..., A)
    lean = drive[..., None] * bits[..., None, :]  # (..., A, 32)
    magnitude = lean.abs()
    each = magnitude + F.softplus(-2 * magnitude) - math.log(2)  # log cosh
    if message is not None:
        each = each - (magnitude - lean * message.sign()[..., None, :])
    ratio = drive * (pilot[..., None] - 0.5 * votes.shape[-2] * amplitude) + each.sum(-1)
    deviation = (spread[..., 0] * int(carrier.is_pilot.sum())).sqrt()
    return ratio.amax(-1).masked_fill(pilot < config.negative * deviation, 0.0), bits


def bit_noise(votes: Tensor, carrier: Carrier) -> Tensor:
    """How far from zero bits read on average where phases are random: votes (..., K, 2) -> (..., 32).

    A sum of vectors of lengths m and random phases has a real part of variance sum(m^2) / 2, and the mean magnitude
    of a Gaussian of variance v is sqrt(2 v / pi).
    """
    return (_sum_bits(votes.square().sum(-1), carrier) / math.pi).sqrt()


def _sum_bits(values: Tensor, carrier: Carrier) -> Tensor:
    data = ~carrier.is_pilot
    return values.new_zeros(*values.shape[:-1], BITS).index_add(-1, carrier.owner[data], values[..., data])


def symmetry_table(carrier: Carrier) -> tuple[Tensor, Tensor]:
    """Which measured frequency each of the carrier's becomes under the eight turns: index (8, K), sign of imaginary."""
    frequencies = carrier.frequencies.long()
    where = {tuple(k): i for i, k in enumerate(frequencies.tolist())}
    index, sign = [], []
    for symmetry in SYMMETRIES.long():
        mapped = frequencies.cpu() @ symmetry  # k . (S u) = (S^T k) . u
        rows = [(where[tuple(k)], 1.0) if tuple(k) in where else (where[(-k[0], -k[1])], -1.0) for k in mapped.tolist()]
        index.append([row[0] for row in rows])
        sign.append([row[1] for row in rows])
    return torch.tensor(index, device=frequencies.device), torch.tensor(sign, device=frequencies.device)


def _times_phase(values: Tensor, angle: Tensor) -> Tensor:
    """Complex product of (..., K, 2) with exp(i angle), angle (K,)."""
    real, imaginary = values.unbind(-1)
    cosine, sine = angle.cos(), angle.sin()
    return torch.stack([real * cosine - imaginary * sine, real * sine + imaginary * cosine], dim=-1)
