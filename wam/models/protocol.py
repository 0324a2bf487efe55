"""What every watermark model offers, so that nothing outside a model asks which one it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from wam.models.effort import USUAL, Effort
from wam.networks.strength import USUAL_STRENGTH
from wam.signal.label import Label
from wam.signal.mark_grid import Cell
from wam.signal.specification import Signal


@dataclass(frozen=True)
class Description:
    """What callers need to know of a model.

    ``name`` as NAME@HASH8; ``same_as`` names of files whose marks are read alike; ``present`` and
    ``faint``: log10 of the chance of a false alarm that a mark may have to be reported, and to have its word looked up
    in a registry. ``licence`` None: not stated. ``keyed``: marks made with one key are not found with another.
    ``signal``: the algorithm of the marks, as ``wam-lattice-1``, and ``search``: the digest of the search's values that
    the calibration holds for; None where there is none.
    """

    name: str
    architecture: str
    licence: str | None
    present: float
    faint: float
    bits: int = 32
    keyed: bool = False
    signal: str | None = None
    search: str | None = None
    same_as: tuple[str, ...] = ()


@dataclass(frozen=True)
class FoundPose:
    """How the marked picture lies in the file. ``scale`` 1.0: as a whole picture of this size is marked;
    ``rotation_deg`` counter-clockwise; ``flipped`` left-right; ``placed``: as it was marked, not cut at left or top;
    ``to_pattern``: matrix, row by row, and offset from pixels of the file to the pattern's plane, but for whole tiles;
    None where the model does not say, and where the picture is bent; ``negative``: light and dark of the mark are
    exchanged, as in a negative, or where more of a mark was subtracted than was there; ``out_of_focus``: those of
    some frequencies are, so that nobody knows whether the picture is a negative."""

    scale: float = 1.0
    rotation_deg: float = 0.0
    flipped: bool = False
    placed: bool = True
    to_pattern: tuple[float, float, float, float, float, float] | None = None
    negative: bool = False
    out_of_focus: bool = False

    @property
    def may_be_negative(self) -> bool:
        """Whether light and dark of the picture may be exchanged."""
        return self.negative or self.out_of_focus


@dataclass(frozen=True, eq=False)
class Finding:
    """One watermark, calibrated.

    ``logits`` (32,) float, positive for a one; ``score`` in the model's own unit; ``log10_p`` of the chance of such a
    score without a watermark, at most 0, all that was tried counted; ``mask_logits`` (h, w) at any resolution, positive
    where the mark is; ``key`` index of the carrier, 0 for models without keys; ``how`` it was found, for people.

    ``label`` that it has, of those the model knows, None: none; ``foreign``: it has another, and was read by the half
    of its frequencies that is read without knowing it. ``label_log10_p``: of the chance that a foreign mark passes for
    one of the label that was found, all labels that were tried counted, at most 0; without a label, 0.
    """

    logits: Tensor
    score: float
    log10_p: float
    mask_logits: Tensor
    pose: FoundPose
    key: int = 0
    how: str = ""
    label: Label | None = None
    foreign: bool = False
    label_log10_p: float = 0.0


@dataclass(frozen=True)
class SearchSummary:
    """What a search did: ``views`` (height, width) in pixels that the network saw, one pass each; ``tried`` regions,
    each at one given pose or at thousands; ``strongest`` score that one reached at its pose, and the ``threshold`` from
    which one is a watermark, in the model's own unit; ``cut_short``: the time was over before all was looked at;
    ``suspicious``: nothing was found, and energy is missing where a mark's pattern would lie, as in one of a thousand
    unmarked photos: a mark may have been subtracted."""

    views: tuple[tuple[int, int], ...]
    tried: int
    strongest: float
    threshold: float
    cut_short: bool = False
    suspicious: bool = False


class Model(Protocol):
    """A watermark model on tensors; pictures are (B, 3, H, W) or (3, H, W) float32 in [0, 1], RGB."""

    @property
    def description(self) -> Description:
        """What callers need to know, thresholds included."""
        ...

    def mark(
        self, images: Tensor, bits: Tensor, *, psnr_db: float | None = None, strength: str = USUAL_STRENGTH
    ) -> Tensor:
        """Marked pictures, clamped and not rounded: images (B, 3, H, W), bits (B, 32) in {0, 1} -> (B, 3, H, W).

        ``psnr_db`` is aimed for; None leaves it to the model, at a ``strength`` of ``wam.networks.strength``.
        """
        ...

    def find(self, image: Tensor, *, effort: Effort = USUAL) -> list[Finding]:
        """Every watermark of one picture (3, H, W), in any order, unlikely ones included; a model that knows no
        ``effort`` but its own leaves it aside."""
        ...

    def extract(self, images: Tensor) -> object:
        """One pass of the extractor alone over pictures (B, 3, H, W), in the model's own form: what costs are measured
        of."""
        ...

    def per_pixel(self, image: Tensor) -> Tensor:
        """WAM's layout for one picture (3, H, W): (33, H, W), channel 0 mask logit, 1 to 32 bit logits."""
        ...


@runtime_checkable
class Explains(Protocol):
    """A model that can tell what its search did."""

    def find_and_explain(self, image: Tensor, *, effort: Effort = USUAL) -> tuple[list[Finding], SearchSummary]:
        """As ``Model.find``, and what was done."""
        ...


@runtime_checkable
class EightBits(Protocol):
    """A model whose methods also take pictures of 8 bits, uint8, on a CPU, with the same results, and give marked ones
    rounded to 8 bits: large ones need not be held as floats."""

    takes_eight_bits: bool


@runtime_checkable
class ManyPictures(Protocol):
    """A model that looks at several pictures together, with the same results as one by one."""

    def find_many(
        self, images: Sequence[Tensor], *, effort: Effort = USUAL
    ) -> list[tuple[list[Finding], SearchSummary]]:
        """As ``Explains.find_and_explain`` of pictures (3, H, W) of any sizes; the time of an effort is for all."""
        ...


@runtime_checkable
class AnySizes(Protocol):
    """A model that takes pictures of several sizes at a time, with the same results as one by one."""

    def mark_each(
        self, images: Sequence[Tensor], bits: Tensor, *, psnr_db: float | None = None, strength: str = USUAL_STRENGTH
    ) -> list[Tensor]:
        """Marked pictures: images (3, H, W) each, bits (N, 32) in {0, 1} -> (3, H, W) each."""
        ...


@runtime_checkable
class ManyMessages(Protocol):
    """A model that marks one picture with many messages, one after the other, and does but once what is the same for
    all of them."""

    def prepare(self, image: Tensor, *, psnr_db: float | None = None, strength: str = USUAL_STRENGTH) -> Any:
        """A picture (3, H, W), as ``mark_prepared`` takes it."""
        ...

    def mark_prepared(self, prepared: Any, bits: Tensor) -> Tensor:
        """The marked picture (3, H, W) for bits (1, 32) in {0, 1}; safe for threads."""
        ...

    def read_whole(self, image: Tensor) -> Finding:
        """What is read of a picture (3, H, W) that lies as it was marked with the first of the keys, and at no other
        pose; the mask is all of it."""
        ...


@runtime_checkable
class ManyMarks(Protocol):
    """A model that can put several marks side by side in one picture, and tells them apart."""

    def room(self, height: int, width: int) -> int:
        """How many marks a picture of this size has room for."""
        ...

    def mark_cells_each(
        self,
        images: Sequence[Tensor],
        bits: Sequence[Tensor],
        cells: Sequence[Sequence[Cell]],
        *,
        psnr_db: float | None = None,
        strength: str = USUAL_STRENGTH,
    ) -> list[Tensor]:
        """Pictures (3, H, W) of any sizes, each with a message (N, 32) in {0, 1} in each of its cells, in their own
        sizes; with the same results as one by one."""
        ...


@runtime_checkable
class Labels(Protocol):
    """A model whose marks can have labels. The networks are shared by all that are made of one."""

    def marking_as(self, label: Label | None) -> Model:
        """The same model, whose marks have a label, or none."""
        ...

    def knowing(self, labels: Sequence[Label]) -> Model:
        """The same model, which reads marks of these labels as well as those of none."""
        ...


class Checkpoint(Protocol):
    """A file of weights that was read and checked, and the model it makes.

    ``sha256`` hex digest of the file; ``licence`` of the weights, None if not stated; ``parameters`` by network;
    ``signal`` that the networks were trained for, None if there is no such; ``same_as`` names of files whose
    marks are read alike; ``calibration`` what its thresholds are and
    rest on, None if it has none; ``metadata`` JSON values as written beside the weights, ``figures`` among them if they
    were measured.
    """

    @property
    def path(self) -> Path: ...
    @property
    def sha256(self) -> str: ...
    @property
    def architecture(self) -> str: ...
    @property
    def licence(self) -> str | None: ...
    @property
    def parameters(self) -> dict[str, int]: ...
    @property
    def signal(self) -> Signal | None: ...
    @property
    def same_as(self) -> tuple[str, ...]: ...
    @property
    def calibration(self) -> dict[str, Any] | None: ...
    @property
    def metadata(self) -> dict[str, Any]: ...

    def build(self, *, name: str, keys: Sequence[bytes | None], device: str, precision: str) -> Model:
        """The model on a device, in eval mode; raises ``ModelError`` for what it cannot do.

        ``precision``: a name of ``wam.networks.precision.PRECISIONS``.
        """
        ...
