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

from wam.detection.autocorrelation import Autocorrelation, autocorrelation
from wam.detection.config import SearchConfig, SynchronizationConfig
from wam.detection.lattice_estimation import climbed, comb, inverse, proposed
from wam.signal.demodulation import limited
from wam.signal.pattern import SYMMETRIES, Carrier
from wam.signal.pose import Pose
from wam.signal.specification import BITS, TILE

FEW_LABELS = 8  # up to which every shift is asked under each
LIKELY_SHIFTS = 48  # by the public half of the pilot, that are asked where there are more labels
BEST_SHIFTS = 4  # of these, by the joint score of the public half


@dataclass(frozen=True)
class Synchronised:
    """A pose and its evidence. ``score``: see ``joint_score``; ``bit_votes`` (32,): signed, about +-3 when certain;
    ``pilot``: pilot agreement in standard deviations of random phases, before maximising over shifts; ``label``: under
    which it is read, as ``Carrier.read_as`` counts them."""

    pose: Pose
    score: float
    bit_votes: Tensor
    pilot: float
    label: int = 0


@dataclass(frozen=True)
class Ranked:
    """Poses of a batch of regions, J each: ``matrices`` (B, J, 2, 2), ``offsets`` (B, J, 2) in pixels of the region;
    their evidence as in ``Synchronised``: ``scores``, ``pilots``, ``labels`` (B, J), ``bit_votes`` (B, J, 32)."""

    matrices: Tensor
    offsets: Tensor
    scores: Tensor
    bit_votes: Tensor
    pilots: Tensor
    labels: Tensor

    def of(self, region: int) -> list[Synchronised]:
        """The poses of one region, best score first."""
        rows = zip(*(one[region].tolist() for one in (self.scores, self.pilots, self.labels)), strict=True)
        found = [
            Synchronised(
                Pose(self.matrices[region, j], self.offsets[region, j]), score, self.bit_votes[region, j], pilot, label
            )
            for j, (score, pilot, label) in enumerate(rows)
        ]
        return sorted(found, key=lambda one: -one.score)


def synchronise(
    field: Tensor, weight: Tensor | None, carrier: Carrier, config: SearchConfig, *, thorough: bool = False
) -> list[Synchronised]:
    """Searches one region: weighted pattern and weight (H, W), None: 1 everywhere -> candidates, best first; none where
    no lattice stands out, unless ``thorough``."""
    own = config.lattice
    correlation = autocorrelation(field[None], None if weight is None else weight[None], own)
    return synchronise_on(correlation, field, carrier, config, thorough=thorough)


def synchronise_on(
    correlation: Autocorrelation, field: Tensor, carrier: Carrier, config: SearchConfig, *, thorough: bool = False
) -> list[Synchronised]:
    """As ``synchronise``, on the lattices that an autocorrelation (a batch of one) shows."""
    own = config.lattice
    lattices, standing = proposed(correlation, comb(correlation, own.scales[0], own), own)
    if float(standing) <= own.proposal and not thorough:
        return []
    lattices, prominence = climbed(correlation, lattices, own)
    if float(prominence.max()) <= own.prominence and not thorough:
        return []
    return rank_poses(field[None], lattices, carrier, config.synchronization).of(0)


def rank_poses(fields: Tensor, lattices: Tensor, carrier: Carrier, config: SynchronizationConfig) -> Ranked:
    """Shift, turn and mirror for each lattice by the pilot, then the joint score of the best.

    fields (B, H, W), lattices (B, C, 2, 2) whose columns are the lattice vectors in pixels.
    """
    matrices = inverse(lattices / TILE)
    count = matrices.shape[1]
    votes = limited(folded_coefficients(fields, matrices, carrier, cells=config.cells))  # (B, C, K, 2)
    index, conjugate = carrier.turned
    turned = votes[:, :, index]  # (B, C, 8, K, 2)
    turned = torch.stack([turned[..., 0], turned[..., 1] * conjugate], dim=-1)
    rotated = _times_phase(turned, -carrier.phases)
    side = config.shifts
    values, cells, labels = best_shifts(rotated, carrier, config)  # (B, C, 8)
    chosen = values.flatten(1, 2).topk(min(config.judged, 8 * count), dim=1).indices
    cell, label = cells.flatten(1, 2).gather(1, chosen), labels.flatten(1, 2).gather(1, chosen)
    shifts = torch.stack([cell % side, cell // side], dim=-1).to(carrier.frequencies) * (TILE / side)
    angles = 2 * math.pi / TILE * (shifts @ carrier.frequencies.T)
    every = rotated.flatten(1, 2)
    picked = every.gather(1, chosen[..., None, None].expand(-1, -1, *every.shape[2:]))
    aligned = _times_phase(picked, angles - carrier.leads[label] if carrier.labels else angles)
    turns = SYMMETRIES.to(fields.device)[chosen % 8]
    poses = turns @ matrices.gather(1, (chosen // 8)[..., None, None].expand(-1, -1, 2, 2))
    scores, bits = joint_score(aligned, carrier, config)
    return Ranked(poses, -shifts.to(poses), scores, bits, _pilot_agreement(aligned, carrier), label)


def at_pose(field: Tensor, pose: Pose, carrier: Carrier, config: SynchronizationConfig) -> Synchronised:
    """Evidence of a weighted estimate (H, W) at one given pose."""
    votes = votes_at(field, pose, carrier)
    score, bits = joint_score(votes, carrier, config)
    return Synchronised(pose, float(score), bits, float(_pilot_agreement(votes, carrier)))


def votes_at(field: Tensor, pose: Pose, carrier: Carrier) -> Tensor:
    """Limited votes of a weighted estimate (H, W) at one given pose: (K, 2)."""
    return limited(carrier.project(field[None], pose.matrix[None], pose.offset[None])[0])


def at_pose_by_label(field: Tensor, pose: Pose, carrier: Carrier, config: SynchronizationConfig) -> list[Synchronised]:
    """As ``at_pose`` under no label and, if the carrier has any, the best of its labels."""
    if not carrier.labels:
        return [at_pose(field, pose, carrier, config)]
    votes = _times_phase(votes_at(field, pose, carrier), -carrier.leads)  # (1 + L, K, 2)
    scores, bits = joint_score(votes, carrier, config)
    pilots = _pilot_agreement(votes, carrier)
    return [
        Synchronised(pose, float(scores[i]), bits[i], float(pilots[i]), i) for i in (0, 1 + int(scores[1:].argmax()))
    ]


def _pilot_agreement(votes: Tensor, carrier: Carrier) -> Tensor:
    """In standard deviations of random phases: limited votes (..., K, 2) turned to a pose -> (...)."""
    known = votes[..., carrier.is_pilot, :]
    agreement: Tensor = known[..., 0].sum(-1) / ((known.square().sum((-2, -1)) / 2).sqrt() + 1e-6)
    return agreement


def folded_coefficients(fields: Tensor, matrices: Tensor, carrier: Carrier, *, cells: int) -> Tensor:
    """Lattice coefficients with the carrier's phases left in: fields (B, H, W), matrices (B, C, 2, 2) -> (B, C, K, 2).

    Every frequency is a whole number of cycles per tile, so the field is first added up over all tiles, in so many
    ``cells`` along each side of one, and a small Fourier transform gives all coefficients; the attenuation by the
    cells is taken out. ``Carrier.project`` is exact, and dearer by the number of frequencies.
    """
    height, width = fields.shape[-2:]
    y = torch.arange(height, device=fields.device, dtype=torch.float32) + 0.5
    x = torch.arange(width, device=fields.device, dtype=torch.float32) + 0.5
    steps = matrices * (cells / TILE)
    tiles = []
    for field, own in zip(fields, steps, strict=True):
        for step in own:
            column = _cells(step[0], x, y, cells)
            cell = _cells(step[1], x, y, cells).mul_(cells).add_(column).flatten()
            tiles.append(torch.zeros(cells**2, device=fields.device).index_add_(0, cell, field.flatten()))
    summed = torch.stack(tiles).view(*matrices.shape[:2], cells, cells)
    spectrum = torch.fft.fft2(summed)
    across, down = carrier.frequencies.long().unbind(1)
    values = spectrum[..., down % cells, across % cells]
    frequencies = carrier.frequencies / cells
    turn = torch.polar(1 / torch.sinc(frequencies).prod(1), -math.pi * frequencies.sum(1))
    return torch.view_as_real(values * turn)


def _cells(step: Tensor, x: Tensor, y: Tensor, cells: int) -> Tensor:
    """The cell of a tile, along one axis, that each pixel lies in: (H, W) int32."""
    place = (step[0] * x + (step[1] * y)[:, None]).floor_().int()
    if cells & (cells - 1):
        return place.remainder_(cells)
    return place.bitwise_and_(cells - 1)  # the same for a power of two, in a fifth of the time


def pilot_surface(votes: Tensor, carrier: Carrier, *, shifts: int) -> Tensor:
    """Pilot agreement at every shift: votes (..., K, 2), phases removed -> (..., S S), shift y times S plus shift x, so
    many ``shifts`` each way."""
    agreement: Tensor = votes[..., carrier.is_pilot, :].flatten(-2) @ carrier.pilot_waves(shifts)
    return agreement


def best_shifts(votes: Tensor, carrier: Carrier, config: SynchronizationConfig) -> tuple[Tensor, Tensor, Tensor]:
    """Where a mark is likeliest, over all shifts and labels: votes (..., K, 2), phases removed but no label's -> how
    likely, shift as ``pilot_surface`` counts them, and label as ``Carrier.read_as`` does, (...) each.

    Without labels, and of up to ``FEW_LABELS``, the agreement of the pilot at every shift under every label. Of more,
    the shifts that the public half of the pilot likes best are judged by the joint score of the public half, and at the
    best of these all other frequencies decide on the label, with the bits as the public half reads them.
    """
    side = config.shifts
    if not carrier.labels:
        best = pilot_surface(votes, carrier, shifts=side).max(-1)
        return best.values, best.indices, torch.zeros_like(best.indices)
    known, labelled = votes[..., carrier.is_pilot, :], carrier.labelled[carrier.is_pilot]
    waves = carrier.pilot_waves(side).view(-1, 2, side**2)  # (P, 2, S S)
    public = known[..., ~labelled, :].flatten(-2) @ waves[~labelled].flatten(0, 1)
    if len(carrier.labels) > FEW_LABELS:
        return _many_labels(votes, public, carrier, config)
    own = waves[labelled].flatten(0, 1)
    values, cells = (public + known[..., labelled, :].flatten(-2) @ own).max(-1)  # under no label
    labels = torch.zeros_like(cells)
    for number, lead in enumerate(carrier.leads[1:, carrier.is_pilot][:, labelled], start=1):
        best = (public + _times_phase(known[..., labelled, :], -lead).flatten(-2) @ own).max(-1)
        better = best.values > values
        labels, cells = torch.where(better, number, labels), torch.where(better, best.indices, cells)
        values = torch.maximum(best.values, values)
    return values, cells, labels


def _many_labels(
    votes: Tensor, public: Tensor, carrier: Carrier, config: SynchronizationConfig
) -> tuple[Tensor, Tensor, Tensor]:
    """See ``best_shifts``; ``public`` (..., S S): agreement of the public half of the pilot at every shift."""
    half, labelled = carrier.public_half, carrier.labelled
    likely = public.topk(min(LIKELY_SHIFTS, public.shape[-1]), dim=-1).indices
    scores, bits = joint_score(_shifted(votes[..., ~labelled, :], half.frequencies, likely, config), half, config)
    best = scores.topk(min(BEST_SHIFTS, scores.shape[-1]), dim=-1)  # (..., T)
    cells = likely.gather(-1, best.indices)
    signs = torch.cat([bits, torch.ones_like(bits[..., :1])], dim=-1).sign()  # the pilot's is known
    signs = signs.gather(-2, best.indices[..., None].expand(*best.indices.shape, signs.shape[-1]))
    rest = _shifted(votes[..., labelled, :], carrier.frequencies[labelled], cells, config)
    rest = rest * signs[..., carrier.owner[labelled]][..., None]  # (..., T, K / 2, 2)
    leads = carrier.leads[:, labelled]
    agreement = rest[..., 0] @ leads.cos().T + rest[..., 1] @ leads.sin().T  # real part after turning back by a lead
    spread = (rest.square().sum((-2, -1)) / 2).sqrt()[..., None] + 1e-6
    total = (best.values[..., None] + agreement / spread).flatten(-2).max(-1)
    place = (total.indices // len(leads))[..., None]
    return total.values, cells.gather(-1, place)[..., 0], total.indices % len(leads)


def _shifted(votes: Tensor, frequencies: Tensor, cells: Tensor, config: SynchronizationConfig) -> Tensor:
    """Votes (..., K, 2) of frequencies (K, 2) at shifts (..., T), counted as ``pilot_surface`` does: (..., T, K, 2)."""
    steps = torch.stack([cells % config.shifts, cells // config.shifts], dim=-1).to(frequencies)
    return _times_phase(votes[..., None, :, :], steps @ frequencies.T * (2 * math.pi / config.shifts))


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
    spread = _spread(votes)
    ratio, bits, pilot = _ratios(votes, carrier, config, spread, message)
    deviation = (spread[..., 0] * int(carrier.is_pilot.sum())).sqrt()
    return ratio.amax(-1).masked_fill(pilot < config.negative * deviation, 0.0), bits


def label_evidence(votes: Tensor, carrier: Carrier, config: SynchronizationConfig) -> Tensor:
    """How much the labelled half speaks for the label that it is read under: votes (..., K, 2) -> (...), in nats.

    The log of the likelihood ratio of the labelled half to random phases, at the amplitude and with the bits as likely
    as the public half says: what the joint score of all frequencies has beyond that of the public half, as far as there
    is a mark at all. Under its own label a mark that is just read has about 10 and a clear one 70, under another about
    as much below zero.
    """
    spread, half = _spread(votes), carrier.public_half
    public = _ratios(votes[..., ~carrier.labelled, :], half, config, spread, None)[0]
    ratio = _ratios(votes, carrier, config, spread, None)[0]
    likeliest = public.argmax(-1, keepdim=True)
    return (ratio - public).gather(-1, likeliest)[..., 0]


def _spread(votes: Tensor) -> Tensor:
    """The variance that all votes (..., K, 2) of a pose show: (..., 1)."""
    return (votes.square().sum(-1).mean(-1, keepdim=True) / 2).clamp(min=1e-6)


def _ratios(
    votes: Tensor, carrier: Carrier, config: SynchronizationConfig, spread: Tensor, message: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """See ``joint_score``: the log of the ratio at each amplitude (..., A), bit votes (..., 32) and pilot (...)."""
    real = votes[..., 0]
    bits, pilot = _sum_bits(real, carrier), real[..., carrier.is_pilot].sum(-1)
    amplitude = torch.tensor(config.amplitudes, device=votes.device)
    drive = amplitude / spread  # (..., A)
    lean = drive[..., None] * bits[..., None, :]  # (..., A, 32)
    magnitude = lean.abs()
    each = magnitude + F.softplus(-2 * magnitude) - math.log(2)  # log cosh
    if message is not None:
        each = each - (magnitude - lean * message.sign()[..., None, :])
    return drive * (pilot[..., None] - 0.5 * votes.shape[-2] * amplitude) + each.sum(-1), bits, pilot


def bit_noise(votes: Tensor, carrier: Carrier) -> Tensor:
    """How far from zero bits read on average where phases are random: votes (..., K, 2) -> (..., 32).

    A sum of vectors of lengths m and random phases has a real part of variance sum(m^2) / 2, and the mean magnitude
    of a Gaussian of variance v is sqrt(2 v / pi).
    """
    return (_sum_bits(votes.square().sum(-1), carrier) / math.pi).sqrt()


def _sum_bits(values: Tensor, carrier: Carrier) -> Tensor:
    data = ~carrier.is_pilot
    return values.new_zeros(*values.shape[:-1], BITS).index_add(-1, carrier.owner[data], values[..., data])


def _times_phase(values: Tensor, angle: Tensor) -> Tensor:
    """Complex product of (..., K, 2) with exp(i angle), angle (K,)."""
    real, imaginary = values.unbind(-1)
    cosine, sine = angle.cos(), angle.sin()
    return torch.stack([real * cosine - imaginary * sine, real * sine + imaginary * cosine], dim=-1)
