"""The self-synchronising carrier: 32 bits and a key -> a periodic pattern, and back to its Fourier coefficients.

The pattern is a sum of cosines on a lattice of frequencies: every frequency is a whole number of cycles per tile of
``TILE`` working pixels, so the pattern repeats in both directions. That repetition is what synchronisation finds; the
phases are what carries the message. Everything here is exact for any affine pose, because a cosine of ``x`` and ``y``
is a sum of products of functions of ``x`` and of ``y``: rendering and projecting are matrix products.

Coordinates: pixel ``i`` of an image has its centre at ``i + 0.5``. A pose is ``carrier = matrix @ (x, y) + offset`` in
working pixels, with ``matrix`` (B, 2, 2) and ``offset`` (B, 2).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from wam.signal.label import FOREIGN, Label
from wam.signal.specification import BITS, SIGNAL, TILE, Signal, lattice_frequencies

PUBLIC_KEY = b"wam-toolkit public carrier 1"

# turns by 0, 90, 180, 270 degrees, then the same after a left-right mirror: a lattice looks alike under each
_TURNS = (((1, 0), (0, 1)), ((0, -1), (1, 0)), ((-1, 0), (0, -1)), ((0, 1), (-1, 0)))
_MIRRORED = (((-1, 0), (0, 1)), ((0, 1), (1, 0)), ((1, 0), (0, -1)), ((0, -1), (-1, 0)))
SYMMETRIES = torch.tensor((*_TURNS, *_MIRRORED), dtype=torch.float32)


@dataclass(frozen=True)
class Carrier:
    """Frequencies, phases and bit table drawn from one key.

    ``frequencies`` (K, 2) float32 in cycles per tile; ``phases`` (K,) float32 in radians; ``owner`` (K,) int64: the bit
    that a frequency carries, -1 for the pilot; ``amplitudes`` (K,) float32, mean square 1; ``labelled`` (K,) bool:
    whose phases a label turns, half of the pilot's and half of each bit's. ``labels``: which a reader tries besides
    none; ``label``: the one that ``phases`` have.
    """

    key: bytes
    frequencies: Tensor
    phases: Tensor
    owner: Tensor
    amplitudes: Tensor
    labelled: Tensor
    labels: tuple[Label, ...] = ()
    label: Label | None = None

    @classmethod
    def from_key(
        cls,
        key: bytes | None = None,
        *,
        device: torch.device | str = "cpu",
        signal: Signal = SIGNAL,
        labels: Sequence[Label] = (),
    ) -> Carrier:
        """Draws the carrier of a secret key; ``None`` is the public carrier that every copy of the toolkit reads.

        ``labels`` that are tried besides none.
        """
        key = PUBLIC_KEY if key is None else key
        if not key:
            raise ValueError(
                "carrier key: expected at least one byte, found none; leave the key out for the public carrier"
            )
        seed = int.from_bytes(hashlib.blake2b(key, digest_size=16, person=b"wam-carrier").digest(), "big")
        generator = np.random.Generator(np.random.PCG64(seed))
        frequencies = lattice_frequencies(signal.band)
        count = len(frequencies)
        phases = generator.random(count) * 2 * np.pi
        owner = np.full(count, -1)
        pilots = count - signal.per_bit * BITS
        pilot = np.round((np.arange(pilots) + 0.5) * count / pilots).astype(int)  # evenly spread over the radii
        rings = np.setdiff1d(np.arange(count), pilot).reshape(signal.per_bit, BITS)
        labelled = np.zeros(count, bool)
        labelled[pilot[1::2]] = True
        for number, ring in enumerate(rings):
            owner[ring] = generator.permutation(BITS)
            labelled[ring] = (owner[ring] + number) % 2 == 1
        amplitudes = np.hypot(*frequencies.T) ** signal.tilt
        amplitudes /= np.sqrt(np.mean(amplitudes**2))
        return cls(
            key,
            torch.tensor(frequencies, dtype=torch.float32, device=device),
            torch.tensor(phases, dtype=torch.float32, device=device),
            torch.tensor(owner, device=device),
            torch.tensor(amplitudes, dtype=torch.float32, device=device),
            torch.tensor(labelled, device=device),
            tuple(labels),
        )

    def tilted(self, power: float) -> Carrier:
        """With amplitudes that grow with that power of the frequency besides: it changes how a mark looks, not what
        reads it."""
        if power == 0:
            return self
        amplitudes = self.amplitudes * self.frequencies.norm(dim=1) ** power
        return replace(self, amplitudes=amplitudes / amplitudes.square().mean().sqrt())

    @property
    def is_pilot(self) -> Tensor:
        """(K,) bool."""
        return self.owner < 0

    def lead(self, label: Label | None) -> Tensor:
        """What a label adds to the phases, (K,) radians: nothing without one."""
        turns = np.zeros(len(self.phases))
        if label is not None:
            generator = np.random.Generator(np.random.PCG64(label.seed(self.key)))
            turns = generator.random(len(turns)) * 2 * np.pi
        return torch.tensor(turns, dtype=torch.float32, device=self.phases.device) * self.labelled

    @cached_property
    def leads(self) -> Tensor:
        """Those of no label and of ``labels``: (1 + L, K) radians."""
        return torch.stack([self.lead(label) for label in (None, *self.labels)])

    @cached_property
    def public_half(self) -> Carrier:
        """The frequencies that no label turns; its ``turned`` has no meaning."""
        kept = ~self.labelled
        tables = (self.frequencies, self.phases, self.owner, self.amplitudes, self.labelled)
        return Carrier(self.key, *(table[kept] for table in tables))  # type: ignore[arg-type]

    def read_as(self, number: int) -> Carrier:
        """The carrier of no label, 0, or of one of ``labels``, counted from 1; of ``FOREIGN`` its public half."""
        if number == 0:
            return self
        if number == FOREIGN:
            return self.public_half
        if number not in self._read_as:
            label = self.labels[number - 1]
            self._read_as[number] = replace(self, phases=self.phases + self.leads[number], labels=(), label=label)
        return self._read_as[number]

    @cached_property
    def _read_as(self) -> dict[int, Carrier]:
        """What ``read_as`` made."""
        return {}

    def with_label(self, label: Label | None) -> Carrier:
        """What marks of a label are made with."""
        return self if label is None else replace(self, phases=self.phases + self.lead(label), labels=(), label=label)

    def knowing(self, labels: Sequence[Label]) -> Carrier:
        """What marks of these labels are read with, as well as those of none."""
        return replace(self, labels=tuple(labels)) if labels else self

    @cached_property
    def turned(self) -> tuple[Tensor, Tensor]:
        """Which measured frequency each of the carrier's becomes under ``SYMMETRIES``: index (8, K) int64, and the sign
        (8, K) of its imaginary part."""
        frequencies = self.frequencies.long().cpu()
        where = {tuple(k): i for i, k in enumerate(frequencies.tolist())}
        index, sign = [], []
        for symmetry in SYMMETRIES.long():
            mapped = (frequencies @ symmetry).tolist()  # k . (S u) = (S^T k) . u
            rows = [(where[tuple(k)], 1.0) if tuple(k) in where else (where[(-k[0], -k[1])], -1.0) for k in mapped]
            index.append([row[0] for row in rows])
            sign.append([row[1] for row in rows])
        device = self.frequencies.device
        return torch.tensor(index, device=device), torch.tensor(sign, device=device)

    @cached_property
    def _waves(self) -> dict[int, Tensor]:
        """What ``pilot_waves`` made, by the number of shifts."""
        return {}

    def pilot_waves(self, shifts: int) -> Tensor:
        """What each pilot coefficient, real and imaginary part, adds to the agreement at each of so many shifts along
        either side of a tile: (2 P, shifts squared), the shift in x last."""
        known = self._waves  # taken once: of two threads that ask first, each may have a table of its own
        if shifts not in known:
            steps = torch.arange(shifts, device=self.frequencies.device) * (2 * np.pi / shifts)
            y, x = torch.meshgrid(steps, steps, indexing="ij")
            angle = self.frequencies[self.is_pilot] @ torch.stack([x.flatten(), y.flatten()])
            known[shifts] = torch.stack([angle.cos(), -angle.sin()], dim=1).flatten(0, 1)
        return known[shifts]

    def to(self, device: torch.device | str) -> Carrier:
        """The same carrier with its tables on another device."""
        tables = (self.frequencies, self.phases, self.owner, self.amplitudes, self.labelled)
        frequencies, phases, owner, amplitudes, labelled = (table.to(device) for table in tables)
        return Carrier(self.key, frequencies, phases, owner, amplitudes, labelled, self.labels, self.label)

    def signs(self, bits: Tensor) -> Tensor:
        """Sign of every frequency for messages: bits (B, 32) in {0, 1} -> (B, K) float in {-1, 1}; the pilot is +1."""
        if bits.ndim != 2 or bits.shape[1] != BITS:
            raise ValueError(f"bits: expected shape (B, {BITS}), found {tuple(bits.shape)}; pass one row per image")
        table = torch.cat([bits.float() * 2 - 1, torch.ones_like(bits[:, :1], dtype=torch.float32)], dim=1)
        return table[:, self.owner]  # the pilot's -1 picks the last column

    def render(self, bits: Tensor, matrix: Tensor, offset: Tensor, size: tuple[int, int]) -> Tensor:
        """The unit-variance pattern of each message at a pose: -> (B, 1, height, width) float32."""
        return self.render_signs(self.signs(bits), matrix, offset, size)

    def render_signs(
        self, signs: Tensor, matrix: Tensor, offset: Tensor, size: tuple[int, int], *, lead: float = 0.0
    ) -> Tensor:
        """As ``render``, from one factor per frequency (B, K); ``lead`` radians are added to every phase."""
        across, down = self.phasors(matrix, offset, size, lead=lead)
        scale = (signs * self.amplitudes)[:, :, None] * (2.0 / len(self.phases)) ** 0.5
        left = torch.cat([down.real * scale, -down.imag * scale], dim=1)
        right = torch.cat([across.real, across.imag], dim=1)
        return torch.bmm(left.transpose(1, 2), right).unsqueeze(1)

    def project(self, field: Tensor, matrix: Tensor, offset: Tensor) -> Tensor:
        """Fourier coefficients of a field on the lattice at a pose, phases removed.

        field (B, H, W) -> (B, K, 2): real and imaginary part of ``sum field * exp(-i (2 pi k.u / T + phase))``. For a
        marked field at the right pose the real part has the sign of the message and the imaginary part is noise. One
        pose (1, 2, 2) serves a batch of fields.
        """
        size = (field.shape[-2], field.shape[-1])
        across, down = self.phasors(matrix, offset, size)
        parts = torch.cat([across.real, across.imag], dim=1) @ field.transpose(-1, -2)
        rows = torch.complex(*parts.float().chunk(2, dim=1))  # autocast halves products, and no complex numbers
        return torch.view_as_real((down * rows).sum(-1).conj().resolve_conj())

    def phasors(
        self, matrix: Tensor, offset: Tensor, size: tuple[int, int], *, lead: float = 0.0
    ) -> tuple[Tensor, Tensor]:
        """exp(i angle) for the part of the phase angle that depends on x, (B, K, W), and for the other, (B, K, H).

        exp(i (kx a + ky b)) is the product of powers of exp(i a) and exp(i b), and kx and ky are small whole numbers:
        so few cosines are taken, and multiplied.
        """
        turn = 2 * np.pi / TILE
        kx, ky = self.frequencies.long().unbind(1)

        def along(axis: int, length: int) -> Tensor:
            place = (torch.arange(length, device=matrix.device, dtype=torch.float32) + 0.5) * turn
            return _powers(kx, matrix[:, 0, axis, None] * place) * _powers(ky, matrix[:, 1, axis, None] * place)

        constant = torch.einsum("kc,bc->bk", self.frequencies, offset) * turn + self.phases + lead
        return along(0, size[1]), along(1, size[0]) * torch.polar(torch.ones_like(constant), constant)[:, :, None]


def _powers(exponents: Tensor, angle: Tensor) -> Tensor:
    """exp(i k angle) for whole numbers k (K,) below half a tile and angles (B, N): (B, K, N) complex64."""
    highest = TILE // 2 - 1  # see Signal: a number, so that no device has to be asked
    multiples = torch.arange(-highest, highest + 1, device=angle.device, dtype=angle.dtype)
    turned = multiples[None, :, None] * angle[:, None]
    return torch.polar(torch.ones_like(turned), turned).index_select(1, exponents + highest)
