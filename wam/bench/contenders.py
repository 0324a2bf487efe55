"""What the bench measures: anything that marks a picture with 32 bits and reads it again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from attacks import Need
from wam.models.lattice_model import LatticeModel
from wam.networks.strength import Amount
from wam.signal.filters import resize, sized, to_pixels
from wam.signal.mark_grid import SMALLEST_SIDE
from wam.signal.specification import WORKING_SIDE
from wam.watermarker import Watermarker, load

OTHER_KEY = b"a key that no picture was marked with"


@dataclass(frozen=True, eq=False)
class Reading:
    """One mark as it was read.

    ``logits`` (32,), positive for a one; ``presence_log10_p``: chance of such a sign of a mark without one, 0.0 where
    nothing is known of it; ``plain``: whether the mark counts whatever its word says, fainter ones only if a record
    belongs to it; ``mask`` (H, W) bool, None where the method does not localise; ``margin_db``: the evidence over that
    of the threshold, None where there is no threshold.
    """

    logits: npt.NDArray[np.float32]
    presence_log10_p: float
    plain: bool
    mask: npt.NDArray[np.bool_] | None
    margin_db: float | None = None


class Contender(Protocol):
    """A method of the bench.

    ``decides``: it says whether there is a mark, and where; else it always reads 32 bits. ``adjustable``: it takes a
    strength. ``keyed``: it has keys. ``search``: the digest of the values that it searches with, None where there are
    none. ``offers``: what it gives an adversary.
    """

    name: str
    decides: bool
    adjustable: bool
    keyed: bool
    search: str | None
    offers: frozenset[Need]

    def embed(self, photo: Tensor, bits: str, *, strength: Amount) -> Tensor:
        """Mark (1, 3, H, W) float in [0, 1]; ``strength`` in dB, None for the method's own."""
        ...

    def embed_with_other_key(self, photo: Tensor, bits: str, *, strength: Amount) -> Tensor:
        """The same with the key of ``read_with_other_key``."""
        ...

    def estimate(self, image: Tensor) -> Tensor:
        """What its extractor makes of (1, 3, H, W): (1, 1, h, w) at working resolution, differentiable."""
        ...

    def read(self, image: Tensor) -> list[Reading]:
        """All marks of (1, 3, H, W), surest first."""
        ...

    def read_with_other_key(self, image: Tensor) -> list[Reading]:
        """The same with a key the picture was not marked with."""
        ...


Build = Callable[[], Contender]  # makes a contender in the process that runs it; must be picklable


class MarkerContender:
    """A ``Watermarker``, read as ``wam detect`` reads."""

    decides = True
    adjustable = True

    def __init__(self, marker: Watermarker, other: Callable[[], Watermarker]) -> None:
        self.marker = marker
        description = marker.model.description
        self.name = description.name
        self.keyed, self.search = description.keyed, description.search
        own: tuple[Need, ...] = ("lattice", "extractor") if isinstance(marker.model, LatticeModel) else ()
        self.offers: frozenset[Need] = frozenset((*own, "others", "detector", "embedder", "original"))
        self._make_other = other
        self._other: Watermarker | None = None

    def embed(self, photo: Tensor, bits: str, *, strength: Amount) -> Tensor:
        marked = self.marker.embed(photo, bits, strength=strength).image
        assert isinstance(marked, Tensor)
        return marked

    def embed_with_other_key(self, photo: Tensor, bits: str, *, strength: Amount) -> Tensor:
        marked = self._with_other_key().embed(photo, bits, strength=strength).image
        assert isinstance(marked, Tensor)
        return marked

    def estimate(self, image: Tensor) -> Tensor:
        model = self.marker.model
        if not isinstance(model, LatticeModel):
            raise ValueError(f"{self.name}: expected a model with an estimate of its pattern, found none")
        size = int(image.shape[-2]), int(image.shape[-1])
        device = next(model.parameters()).device
        working = resize(image.to(device), sized(*size, min(WORKING_SIDE, *size)))
        return model.extract(working).pattern.cpu()

    def read(self, image: Tensor) -> list[Reading]:
        return _readings(self.marker, image)

    def read_with_other_key(self, image: Tensor) -> list[Reading]:
        return _readings(self._with_other_key(), image)

    def _with_other_key(self) -> Watermarker:
        if self._other is None:
            self._other = self._make_other()
        return self._other


def _readings(marker: Watermarker, image: Tensor) -> list[Reading]:
    if min(image.shape[-2:]) < SMALLEST_SIDE:  # an attack left less than can be searched: the mark is lost
        return []
    limits = marker.model.description
    found = marker.detect(image, max_log10_p=limits.faint)
    return [
        Reading(
            each.logits,
            each.log10_p,
            each.log10_p <= limits.present,
            each.mask,
            margin_db(each.log10_p, limits.present),
        )
        for each in found
    ]


def margin_db(log10_p: float, threshold: float) -> float:
    """How far evidence for a mark goes beyond what the threshold asks for, in decibels.

    Evidence is the chance of such a sign of a mark without one, as -10 log10: Good's decibans, Jaynes's decibels.
    ``threshold``: log10 of the chance from which a mark is present.

    >>> margin_db(-9.0, -6.0), margin_db(-5.5, -6.0)
    (30.0, -5.0)
    """
    return 10 * (threshold - log10_p)


def build_marker(model: str, device: str) -> Contender:
    """A model of the toolkit by name or path; raises ``ModelError``."""
    return MarkerContender(load(model, device=device), lambda: load(model, device=device, keys=(OTHER_KEY,)))


class PeerContender:
    """A method that gives 32 bits for any picture, marked or not: the base of the adapters in ``peers``."""

    name = "peer"
    decides = False
    adjustable = False
    keyed = False
    search: str | None = None
    offers: frozenset[Need] = frozenset({"original"})

    def embed(self, photo: Tensor, bits: str, *, strength: Amount) -> Tensor:
        marked = self.embed_bgr(to_bgr(photo), [int(bit) for bit in bits])
        return from_bgr(marked).to(photo)

    def read(self, image: Tensor) -> list[Reading]:
        bits = self.read_bgr(to_bgr(image))
        if bits is None:
            return []
        signs = np.where(np.asarray(bits, dtype=float).ravel() > 0.5, 1.0, -1.0).astype(np.float32)
        return [Reading(signs, 0.0, True, None)]

    def read_with_other_key(self, image: Tensor) -> list[Reading]:
        raise ValueError(f"{self.name}: expected a method with keys, found one without; leave wrong_key out")

    def embed_with_other_key(self, photo: Tensor, bits: str, *, strength: Amount) -> Tensor:
        raise ValueError(f"{self.name}: expected a method with keys, found one without; leave keyed rows out")

    def estimate(self, image: Tensor) -> Tensor:
        raise ValueError(f"{self.name}: expected a model with an estimate of its pattern, found none")

    def embed_bgr(self, image: npt.NDArray[np.uint8], bits: list[int]) -> npt.NDArray[np.uint8]:
        """Mark (H, W, 3) uint8 in BGR with 32 bits."""
        raise NotImplementedError

    def read_bgr(self, image: npt.NDArray[np.uint8]) -> npt.ArrayLike | None:
        """32 numbers, above one half for a one; None where the method refuses the picture."""
        raise NotImplementedError


def to_bgr(batch: Tensor) -> npt.NDArray[np.uint8]:
    """(1, 3, H, W) RGB in [0, 1] as (H, W, 3) uint8 BGR, the order of OpenCV."""
    return np.ascontiguousarray(to_pixels(batch[0].clamp(0, 1).cpu())[..., ::-1])


def from_bgr(image: npt.NDArray[np.uint8]) -> Tensor:
    """The way back; values are rounded and clipped to 8 bits."""
    values = np.ascontiguousarray(np.asarray(image)[..., ::-1]).astype(np.float32).clip(0, 255).round()
    return torch.from_numpy(values).permute(2, 0, 1)[None] / 255
