"""The model: embedder and extractor networks around one carrier, on tensors.

Pictures that are marked may have 8 bits, uint8, in place of floats in [0, 1]: marked ones are rounded to 8 bits then.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wam.networks.embedder import Embedder, at_psnr, gains_at_psnr, scale_evenly
from wam.networks.extractor import STRIDE, ExtractorOutput
from wam.networks.precision import precision_of
from wam.networks.strength import USUAL_STRENGTH, strength_of
from wam.networks.strength_trial import TRIAL_SIDE, PairTrial, Trial, try_mark
from wam.networks.visibility import Gains, PerceptualEmbedder, hidden
from wam.signal.balance import Balance, render_balanced
from wam.signal.eight_bit import as_given, floats, interpolated
from wam.signal.filters import coloured, resize, sized
from wam.signal.mark_grid import Cell
from wam.signal.pattern import Carrier
from wam.signal.specification import BITS, WORKING_SIDE

# PSNR of marks of the usual strength in cells of the smoothest pictures by the second law, as far as the JND goes: 9.93
# by ColorVideoVDP on tests/data/smooth/skin_cheek.webp, where they outlast JPEG 75; those of 51 dB did not
CELLS_QUIETEST_DB = 47.0
SEEN = 64  # rows beyond a strip that the extractor is shown: twelve 3 x 3 convolutions on cells of 4, windows of 13


@dataclass(frozen=True)
class MemoryLimits:
    """How much of a picture is held in memory at a time; results are the same whatever they are, but for rounding.

    ``rows`` of a large picture that are marked at a time, where they have no more than ``area`` pixels, else as many as
    have ``wide`` pixels; ``whole`` pixels of a picture that the extractor
    takes at once, larger ones go through in strips of whole rows, of ``strip`` rows at least; ``levels`` pixels of one
    that gets many messages up to which its gains are kept at its own size.
    """

    rows: int = 512
    area: int = 3_200_000
    wide: int = 1_000_000
    levels: int = 8_000_000
    whole: int = 1_500_000
    strip: int = 128

    def __post_init__(self) -> None:
        if self.strip % STRIDE:  # strips meet between the extractor's cells
            raise ValueError(f"memory limits: expected a strip of a multiple of {STRIDE} rows, found {self.strip}")

    def rows_of(self, width: int) -> int:
        """How many rows of a picture are marked at a time."""
        return self.rows if self.rows * width <= self.area else max(1, self.wide // width)


DEFAULT_LIMITS = MemoryLimits()


@dataclass(frozen=True, eq=False)
class Prepared:
    """A picture (3, H, W) that gets many messages, with all that does not depend on them: its ``gains`` at a working
    resolution of that short ``side``; its ``levels`` (1, 1 or 3, H, W), the same at its own, None where it is too
    large; and, by the second law, the ``trial``. ``psnr_db`` and ``strength`` as in ``WatermarkModel.mark``."""

    image: Tensor
    gains: Gains
    side: int
    levels: Tensor | None
    trial: PairTrial | None
    psnr_db: float | None
    strength: str


class WatermarkModel(nn.Module):
    """The toolkit's own networks: marked pictures out of bits, and a pattern estimate out of pictures.

    ``carriers[0]`` is the one pictures are marked with, tilted as the embedder likes it; detection tries all of them.
    """

    def __init__(
        self,
        embedder: Embedder | PerceptualEmbedder,
        extractor: nn.Module,
        carriers: Sequence[Carrier],
        *,
        precision: str = "fp32",
        mask_head: nn.Module | None = None,
        limits: MemoryLimits = DEFAULT_LIMITS,
    ) -> None:
        super().__init__()
        self.limits = limits
        self.precision = precision_of(precision)
        self.embedder = embedder
        self.extractor = extractor
        self.mask_head = mask_head  # None: masks are hand-made
        self.carriers = list(carriers)

    def mark(
        self, images: Tensor, bits: Tensor, *, psnr_db: float | None = None, strength: str = USUAL_STRENGTH
    ) -> Tensor:
        """Marked pictures: images (B, 3, H, W) float in [0, 1], bits (B, 32) in {0, 1} -> the same shape, not rounded.

        ``psnr_db`` None: as much as reading takes and the picture hides, at the ``strength`` of that name.
        Differentiable in the images, and with a PSNR in the embedder's weights.
        """
        if self.embedder.law == 2:  # every picture has a trial of its own
            marked = self.mark_each(list(images), bits, psnr_db=psnr_db, strength=strength)
            return marked[0][None] if len(marked) == 1 else torch.stack(marked)  # a large one is not copied
        side = min(WORKING_SIDE, *images.shape[-2:])
        working = _working(images, side)
        gains = self._scaled(self._hidden(working, _coarseness(images, side)), working, psnr_db, strength)
        return _joined(self._marked_strips(images, bits, gains, side), images)

    def mark_each(
        self, images: Sequence[Tensor], bits: Tensor, *, psnr_db: float | None = None, strength: str = USUAL_STRENGTH
    ) -> list[Tensor]:
        """Marked pictures of any sizes, just as one by one: images (3, H, W) each, bits (N, 32) -> (3, H, W) each.

        Pictures that come to one working size go through the embedder together.
        """
        sides = [min(WORKING_SIDE, *image.shape[-2:]) for image in images]
        gains = self._gains(images, sides, psnr_db, strength)
        marked = []
        for image, row, own, side in zip(images, bits.split(1), gains, sides, strict=True):
            balance = None
            if self.embedder.law == 2:
                trial = self._tried(image, row, own, side)
                own, balance = own.times(_factor(trial, psnr_db, strength)), trial.balance
            strips = self._marked_strips(image[None], row, own, side, balance)
            marked.append(_joined(strips, image[None])[0])
        return marked

    def prepare(self, image: Tensor, *, psnr_db: float | None = None, strength: str = USUAL_STRENGTH) -> Prepared:
        """A picture (3, H, W) that gets many messages."""
        side = min(WORKING_SIDE, *image.shape[-2:])
        (gains,) = self._gains([image], [side], psnr_db, strength)
        trial = None
        if self.embedder.law == 2:
            bits = (torch.arange(BITS, device=image.device) % 2)[None]  # any will do
            one, opposite = (self._tried(image, own, gains, side) for own in (bits, 1 - bits))
            trial = PairTrial(bits, one, opposite, self.carriers[0].owner)
        levels = None
        if image.shape[-2] * image.shape[-1] <= self.limits.levels:
            levels = _levels(gains, Cell(0, 0, *image.shape[-2:]), (image.shape[-2], image.shape[-1]))
        return Prepared(image, gains, side, levels, trial, psnr_db, strength)

    def mark_prepared(self, prepared: Prepared, bits: Tensor) -> Tensor:
        """The picture marked with one of its messages: bits (1, 32) -> (3, H, W). By the second law nearly as
        ``mark_each`` does it: strength and balance are those of ``PairTrial``."""
        factor, balance = 1.0, None
        if prepared.trial is not None:
            trial = prepared.trial.of(bits)
            factor, balance = _factor(trial, prepared.psnr_db, prepared.strength), trial.balance
        own = prepared
        image = own.image[None]
        strips = self._marked_strips(image, bits, own.gains, own.side, balance, levels=own.levels, factor=factor)
        return _joined(strips, image)[0]

    def _gains(
        self, images: Sequence[Tensor], sides: Sequence[int], psnr_db: float | None, strength: str
    ) -> list[Gains]:
        """Gains of each picture (3, H, W), of the second law not yet scaled without a PSNR; those of one working size
        share the embedder."""
        small = [_working(image[None], side) for image, side in zip(images, sides, strict=True)]
        sizes: dict[torch.Size, list[int]] = {}
        for index, working in enumerate(small):
            sizes.setdefault(working.shape, []).append(index)
        gains: dict[int, Gains] = {}
        for indices in sizes.values():
            working = torch.cat([small[index] for index in indices])
            coarse = torch.cat([_coarseness(images[index][None], sides[index]) for index in indices])
            together = self._scaled(self._hidden(working, coarse), working, psnr_db, strength)
            gains.update({index: together[place] for place, index in enumerate(indices)})
        return [gains[index] for index in range(len(images))]

    def _marking(self, size: tuple[int, int], side: int) -> Carrier:
        """What pictures of so many pixels are marked with, for a pattern of that short side."""
        return self.carriers[0].tilted(self.embedder.tilt(min(size) / side))

    def _hidden(self, working: Tensor, coarseness: Tensor) -> Gains:
        """What pictures at working resolution (B, 3, h, w) hide, as the embedder sees it."""
        gain = self.embedder(working)
        return hidden(working, gain, coarseness) if self.embedder.law == 2 else Gains(gain)

    def _scaled(self, gains: Gains, working: Tensor, psnr_db: float | None, strength: str) -> Gains:
        """At the PSNR asked for, or as the first law scales them; those of the second stay as they are."""
        if psnr_db is not None:
            return gains_at_psnr(gains, psnr_db)
        if self.embedder.law == 1:
            return Gains(scale_evenly(gains.luma, working, fainter_db=-strength_of(strength).louder_db))
        return gains

    @torch.no_grad()
    def _tried(self, image: Tensor, bits: Tensor, gains: Gains, side: int) -> Trial:
        """What becomes of a message (1, 32) in a picture (3, H, W), marked with all that it hides."""
        height, width = image.shape[-2:]
        small = min(height, width) <= TRIAL_SIDE  # a long strip may have many pixels all the same
        copy = image[None] if small else resize(image[None], sized(height, width, TRIAL_SIDE))
        size = (int(copy.shape[-2]), int(copy.shape[-1]))
        half = sized(*size, min(size) / 2)
        marked, narrow = torch.empty_like(copy), torch.empty(1, 3, size[0], half[1], device=copy.device)
        for part, strip in self._marked_strips(copy, bits, gains, side):
            marked[..., part, :] = as_given(strip, copy)
            narrow[..., part, :] = interpolated(strip, (strip.shape[-2], half[1]))
        smaller = interpolated(narrow, half)[0].clamp(0, 1)
        del narrow  # of a long strip larger than the picture
        working = (gains.luma.shape[-2], gains.luma.shape[-1])
        carrier = self._marking(size, side)
        return try_mark(marked[0], smaller, bits, carrier, working, lambda views: self.extract(views).pattern)

    def _marked_strips(
        self,
        images: Tensor,
        bits: Tensor,
        gains: Gains,
        side: int,
        balance: Balance | None = None,
        *,
        levels: Tensor | None = None,
        factor: float = 1.0,
    ) -> Iterator[tuple[slice, Tensor]]:
        """Marked pictures (B, 3, H, W) with a ``factor`` times the gains of each, (B, 1, h, w), or the ``levels`` that
        were made of them, strip by strip: which rows, and these as marked, floats. A balance is of one picture."""
        height, width = images.shape[-2:]
        rows = self.limits.rows_of(width)
        for top in range(0, height, rows):  # the pattern is exact at any place, so strips meet without a seam
            strip = Cell(top, 0, min(rows, height - top), width)
            part = slice(top, top + rows)
            own = _levels(gains, strip, (height, width)) if levels is None else levels[..., part, :]
            own = own if factor == 1 else own * factor
            yield part, self._mark_cell(images, bits, own, strip, side, balance)

    def mark_cells(
        self, image: Tensor, bits: Tensor, cells: Sequence[Cell], *, psnr_db: float | None = None, side: int
    ) -> Tensor:
        """One picture with a message in each cell: image (1, 3, H, W), bits (N, 32) in {0, 1} -> the same shape.

        All cells have one pose; ``side`` is the short side that the pattern is made for, pixels. Pixels outside the
        cells stay as they are.
        """
        (marked,) = self.mark_cells_each([image[0]], [bits], [cells], psnr_db=psnr_db, sides=[side])
        return marked[None]

    def mark_cells_each(
        self,
        images: Sequence[Tensor],
        bits: Sequence[Tensor],
        cells: Sequence[Sequence[Cell]],
        *,
        psnr_db: float | None = None,
        sides: Sequence[int],
        strength: str = USUAL_STRENGTH,
    ) -> list[Tensor]:
        """Pictures of any sizes (3, H, W), each with a message (N, 32) in each of its cells, just as one by one.

        Pictures that come to one working size go through the embedder together. There is no trial: by the second law
        marks get the most that their strength allows, as cells are small, and more in smooth pictures, which hide more
        than is visible: up to ``CELLS_QUIETEST_DB``.
        """
        gains = self._gains(images, sides, psnr_db, strength)
        if psnr_db is None and self.embedder.law == 2:
            most = strength_of(strength).most
            quietest = CELLS_QUIETEST_DB - 20 * math.log10(most / strength_of(USUAL_STRENGTH).most)
            gains = [own.times(at_psnr(own, quietest).clamp(min=most)) for own in gains]
        return [
            self._fill_cells(image[None], bits[index], cells[index], gains[index], sides[index])[0]
            for index, image in enumerate(images)
        ]

    def _fill_cells(self, image: Tensor, bits: Tensor, cells: Sequence[Cell], gains: Gains, side: int) -> Tensor:
        marked = image.clone()
        for cell, message in zip(cells, bits, strict=True):
            levels = _levels(gains, cell, (int(image.shape[-2]), int(image.shape[-1])))
            part = self._mark_cell(image, message[None], levels, cell, side)
            marked[..., cell.top : cell.top + cell.height, cell.left : cell.left + cell.width] = as_given(part, image)
        return marked

    def _mark_cell(
        self, images: Tensor, bits: Tensor, levels: Tensor, cell: Cell, side: int, balance: Balance | None = None
    ) -> Tensor:
        """The marked pixels of one rectangle with its ``levels``, (B, 3, height, width)."""
        height, width = images.shape[-2:]
        count = len(images)
        carrier, working = self._marking((height, width), side), sized(height, width, side)
        steps = torch.tensor([working[1] / width, working[0] / height], device=images.device)
        matrix = torch.diag(steps).expand(count, 2, 2)
        offset = (steps * torch.tensor([cell.left, cell.top], device=images.device)).expand(count, 2)
        pattern = self.pattern_in(cell, carrier, bits, matrix, offset, balance=balance, picture=(height, width))
        part = floats(images[..., cell.top : cell.top + cell.height, cell.left : cell.left + cell.width])
        return (levels * pattern).div(255).add(part).clamp(0, 1)

    def pattern_in(
        self,
        cell: Cell,
        carrier: Carrier,
        bits: Tensor,
        matrix: Tensor,
        offset: Tensor,
        *,
        balance: Balance | None,
        picture: tuple[int, int],
    ) -> Tensor:
        """What gains are multiplied with in one rectangle of a ``picture`` of so many pixels, of unit variance but for
        the balance, (B, 1, height, width): bits (B, 32) at the pose of the rectangle. A mark that is tried, and marks
        in cells, have no balance."""
        if balance is None:
            return carrier.render(bits, matrix, offset, (cell.height, cell.width))
        return render_balanced(carrier, bits, matrix, offset, cell, balance=balance, picture=picture)

    def extract(self, images: Tensor) -> ExtractorOutput:
        """Pattern estimate and mask logits at the pictures' own resolution: (B, 3, H, W) in [0, 1].

        Large pictures go through in strips that overlap by what the network sees: the same outcome but for rounding.
        """
        height = images.shape[-2]
        if height * images.shape[-1] <= self.limits.whole:
            return self._extract(images)
        rows = max(self.limits.strip, self.limits.whole // images.shape[-1] // STRIDE * STRIDE)
        strips = []
        for top in range(0, height, rows):
            first, last = max(0, top - SEEN), min(height, top + rows + SEEN)
            output, inside = self._extract(images[..., first:last, :]), slice(top - first, top - first + rows)
            strips.append(ExtractorOutput(output.pattern[..., inside, :], output.mask_logits[..., inside, :]))
        return ExtractorOutput(
            torch.cat([strip.pattern for strip in strips], dim=-2),
            torch.cat([strip.mask_logits for strip in strips], dim=-2),
        )

    def _extract(self, images: Tensor) -> ExtractorOutput:
        images = images.contiguous(memory_format=torch.channels_last)
        if self.precision is None:
            return _typed(self.extractor(images))
        with torch.autocast(images.device.type, dtype=self.precision):
            return _typed(self.extractor(images))


def _typed(output: ExtractorOutput) -> ExtractorOutput:
    """What torch's call of a module leaves untyped."""
    return output


def _joined(strips: Iterator[tuple[slice, Tensor]], like: Tensor) -> Tensor:
    """Strips of rows as whole pictures, of the size and kind of those given: (B, 3, H, W)."""
    whole = torch.empty_like(like)
    for part, strip in strips:
        whole[..., part, :] = as_given(strip, like)
    return whole


def _working(images: Tensor, side: int) -> Tensor:
    """Pictures (B, 3, H, W) at the working resolution of that short side."""
    return resize(images, sized(int(images.shape[-2]), int(images.shape[-1]), side))


def _coarseness(images: Tensor, side: int) -> Tensor:
    """(B,): pixels of pictures (B, 3, H, W) for one at a working resolution of that short side."""
    dtype = images.dtype if images.is_floating_point() else torch.float32
    return torch.full((len(images),), min(images.shape[-2:]) / side, dtype=dtype, device=images.device)


def _factor(trial: Trial, psnr_db: float | None, strength: str) -> float:
    """Times what a picture hides: as strong as the strength asks for reading it surely, or a PSNR as it is."""
    return 1.0 if psnr_db is not None else strength_of(strength).factor(trial.margin)


def _levels(gains: Gains, cell: Cell, size: tuple[int, int]) -> Tensor:
    """The gains of one rectangle of the full picture: -> (B, 1, height, width), with chroma (B, 3, height, width)."""
    levels = _gain_in(gains.luma, cell, size)
    return levels if gains.chroma is None else coloured(levels, _gain_in(gains.chroma, cell, size))


def _gain_in(gain: Tensor, cell: Cell, size: tuple[int, int]) -> Tensor:
    """Bilinear samples of the gain map for a rectangle of the full picture: -> (B, 1, height, width)."""
    height, width = size
    y = (torch.arange(cell.top, cell.top + cell.height, device=gain.device) + 0.5) * 2 / height - 1
    x = (torch.arange(cell.left, cell.left + cell.width, device=gain.device) + 0.5) * 2 / width - 1
    last = 1 - 1 / torch.tensor([gain.shape[-1], gain.shape[-2]], device=gain.device)  # centres of the border pixels
    grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).clamp(-last, last)
    grid = grid.expand(len(gain), -1, -1, -1).to(gain.dtype)
    return F.grid_sample(gain, grid, mode="bilinear", align_corners=False)
