"""The public interface on pictures: ``load``, ``Watermarker.embed`` and ``Watermarker.detect``."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from payload import derive_subkeys
from wam.errors import ModelError
from wam.models import zoo
from wam.models.catalogue import DEFAULT
from wam.models.effort import USUAL, Effort
from wam.models.protocol import (
    AnySizes,
    EightBits,
    Explains,
    Finding,
    FoundPose,
    Labels,
    ManyMessages,
    ManyPictures,
    Model,
    SearchSummary,
)
from wam.networks.precision import AUTO, check_precision
from wam.networks.strength import Amount, checked, either, keywords
from wam.pictures.quality import decibels, psnr
from wam.region import Region, outline
from wam.signal.eight_bit import floats, view_of
from wam.signal.filters import rounded, to_pixels
from wam.signal.label import Label
from wam.signal.mark_grid import SMALLEST_SIDE
from wam.signal.specification import BITS

LARGE = 8_000_000  # pixels from which a picture on a CPU is not held as floats, where the model can do without
DEEP_MODES = ("I", "F")  # of Pillow, with more than 8 bits

AnyImage = Image.Image | NDArray[np.uint8] | Tensor
AnyBits = str | Sequence[str] | Sequence[int] | NDArray[Any] | Tensor
ForMany = Callable[[str], NDArray[np.uint8]]  # a message of 32 characters -> the marked (H, W, 3)


@dataclass(frozen=True, eq=False)
class Detection:
    """One watermark of a picture.

    ``bits`` 32 characters as read, before any correction; ``logits`` (32,) float32, positive for a one; ``region`` in
    pixels; ``score`` joint score and ``log10_p`` the chance of such a score without a watermark, counting all that was
    tried; ``mask_score`` mean confidence of the mask in [0, 1]; ``key`` index of the carrier, 0 is the first;
    ``how`` it was found, for people, empty where the model does not say; ``label``, ``foreign`` and ``label_log10_p``
    as in ``Finding``.
    """

    bits: str
    logits: NDArray[np.float32] = field(repr=False)
    region: Region
    score: float
    log10_p: float
    mask_score: float
    pose: FoundPose
    key: int
    coarse_mask: NDArray[np.bool_] = field(repr=False)
    size: tuple[int, int]
    how: str = ""
    label: Label | None = None
    foreign: bool = False
    label_log10_p: float = 0.0

    @property
    def mask(self) -> NDArray[np.bool_]:
        """(H, W) bool at the picture's own size."""
        return resize_mask(self.coarse_mask, self.size)


@dataclass(frozen=True, eq=False)
class Marked:
    """``image`` of the kind that was given, with the transparency of a PIL image; ``psnr_db`` against the input, on the
    8-bit picture."""

    image: AnyImage
    psnr_db: float


class Watermarker:
    """Marks and reads pictures: PIL images, (H, W, 3) uint8 arrays, or (B, 3, H, W) float tensors in [0, 1].

    ``keys``: the secrets that the model's carriers were drawn from, in their order, None for the public one.
    """

    def __init__(self, model: Model, *, device: str = "cpu", keys: Sequence[bytes | None] = (None,)) -> None:
        self.model = model
        self.device = torch.device(device)
        self.keys = tuple(keys)
        self._known: tuple[tuple[Label, ...], Watermarker] = ((), self)

    @property
    def name(self) -> str:
        """The model's, as NAME@HASH8."""
        return self.model.description.name

    def marking_as(self, label: Label | None) -> Watermarker:
        """The same model, whose marks have a label; raises ``ModelError`` for one that has none."""
        if label is None:
            return self
        if not isinstance(self.model, Labels):
            raise ModelError(
                f"model {self.name}: expected one whose marks can have labels, found another; use lattice32, or a "
                "registry of plain words (`wam registry scheme plain`)"
            )
        return Watermarker(self.model.marking_as(label), device=str(self.device), keys=self.keys)

    def knowing(self, labels: Sequence[Label]) -> Watermarker:
        """The same model, which reads marks of these labels too; one that has none stays as it is. What was made last
        is kept, since the same labels are asked for picture after picture."""
        wanted = tuple(labels)
        if not wanted or not isinstance(self.model, Labels):
            return self
        known, marker = self._known  # taken once: another thread may change it
        if known != wanted:
            marker = Watermarker(self.model.knowing(wanted), device=str(self.device), keys=self.keys)
            self._known = (wanted, marker)
        return marker

    def embed(self, image: AnyImage, bits: AnyBits, *, strength: Amount = None, psnr: float | None = None) -> Marked:
        """Adds a 32-bit message. ``strength``: gentle, normal or strong, None for normal; or ``psnr``, what to aim for
        in dB, the same for every picture, where those that show more get less. A number as ``strength`` is taken as
        PSNR in this version.

        A tensor may hold several pictures with one message each, bits (B, 32), or one message for all.
        """
        how = keywords(either(strength, psnr))
        batch = self.batch_of(image)
        check_size(batch)
        rows = to_bits(bits, len(batch)).to(self.device)
        with torch.inference_mode():
            marked = self.model.mark(batch.to(self.device), rows, **how)
        return marked_like(marked, batch, image)

    def embed_each(
        self, pictures: Sequence[NDArray[np.uint8]], bits: Sequence[str], *, strength: Amount = None
    ) -> list[NDArray[np.uint8]]:
        """Marks (H, W, 3) uint8 arrays of any sizes with a message each, just as ``embed`` does one by one; a model
        that can puts them through its networks together."""
        too_small = any(min(pixels.shape[:2]) < SMALLEST_SIDE for pixels in pictures)
        if len(pictures) < 2 or too_small or not isinstance(self.model, AnySizes):
            marked = [self.embed(one, text, strength=strength) for one, text in zip(pictures, bits, strict=True)]
            return [np.asarray(one.image) for one in marked]
        how = keywords(checked(strength))
        rows = torch.cat([to_bits(text, 1) for text in bits]).to(self.device)
        with torch.inference_mode():
            images = [self.batch_of(pixels)[0].to(self.device) for pixels in pictures]
            return [to_pixels(image.cpu()) for image in self.model.mark_each(images, rows, **how)]

    def for_many(self, pixels: NDArray[np.uint8], *, strength: Amount = None) -> ForMany:
        """What marks one (H, W, 3) uint8 array with many messages of 32 characters, one after the other; a model that
        can does but once what is the same for all of them. Safe for threads."""
        model, batch = self.model, self.batch_of(pixels)
        check_size(batch)
        if not isinstance(model, ManyMessages):
            return lambda bits: np.asarray(self.embed(pixels, bits, strength=strength).image)
        with torch.inference_mode():
            prepared = model.prepare(batch[0].to(self.device), **keywords(checked(strength)))

        def mark(bits: str) -> NDArray[np.uint8]:
            with torch.inference_mode():
                return to_pixels(model.mark_prepared(prepared, to_bits(bits, 1).to(self.device)).cpu())

        return mark

    def read_whole(self, pixels: NDArray[np.uint8]) -> Detection | None:
        """What is read of an array that lies as it was marked by this one, at that pose alone, however faint; None for
        a model that does not read so."""
        if not isinstance(self.model, ManyMessages):
            return None
        with torch.inference_mode():
            finding = self.model.read_whole(self.batch_of(pixels)[0].to(self.device))
        return _describe(finding, (pixels.shape[0], pixels.shape[1]))

    def detect(
        self,
        image: AnyImage,
        *,
        thorough: bool = False,
        quick: bool = False,
        seconds: float | None = None,
        max_log10_p: float | None = None,
    ) -> list[Detection]:
        """Every watermark of one picture, surest first; an empty list when there is none.

        Raises ``ValueError`` for what is no picture, or too small to be searched.

        ``thorough``, ``quick`` and ``seconds``: see ``wam.models.effort.Effort``. ``max_log10_p``: the chance of a
        false alarm a detection may have, the model's own unless given; callers who check the words may allow more.
        """
        effort = Effort(thorough=thorough, quick=quick, seconds=seconds)
        return self.detect_and_explain(image, effort=effort, max_log10_p=max_log10_p)[0]

    def detect_many(
        self,
        images: Iterable[AnyImage],
        *,
        thorough: bool = False,
        quick: bool = False,
        seconds: float | None = None,
        max_log10_p: float | None = None,
    ) -> list[list[Detection]]:
        """As ``detect`` of each picture, of any sizes and kinds, in their order; a model that can puts views of one
        size through its network together. ``seconds`` for all of them."""
        effort = Effort(thorough=thorough, quick=quick, seconds=seconds)
        return [found for found, _ in self.detect_and_explain_many(images, effort=effort, max_log10_p=max_log10_p)]

    def glance(self, image: AnyImage, *, max_log10_p: float | None = None) -> list[Detection]:
        """As ``detect`` with ``quick``: of a picture that lies in the file as it was marked."""
        return self.detect_and_explain(image, effort=Effort(quick=True), max_log10_p=max_log10_p)[0]

    def detect_and_explain(
        self, image: AnyImage, *, effort: Effort = USUAL, max_log10_p: float | None = None
    ) -> tuple[list[Detection], SearchSummary | None]:
        """As ``detect``, and what the search did; None where the model does not say."""
        batch = self.batch_of(image)
        _check_single(batch)
        with torch.inference_mode():
            findings, summary = self._find(batch[0].to(self.device), effort)
        return self._described(findings, batch, max_log10_p), summary

    def detect_and_explain_many(
        self, images: Iterable[AnyImage], *, effort: Effort = USUAL, max_log10_p: float | None = None
    ) -> list[tuple[list[Detection], SearchSummary | None]]:
        """As ``detect_and_explain`` of each picture, looked at together as in ``detect_many``."""
        batches = [self.batch_of(image) for image in images]
        for batch in batches:
            _check_single(batch)
        model = self.model
        every: Sequence[tuple[list[Finding], SearchSummary | None]]
        with torch.inference_mode():
            pictures = [batch[0].to(self.device) for batch in batches]
            if isinstance(model, ManyPictures):
                every = model.find_many(pictures, effort=effort)
            else:
                every = [self._find(picture, effort) for picture in pictures]
        return [
            (self._described(findings, batch, max_log10_p), summary)
            for (findings, summary), batch in zip(every, batches, strict=True)
        ]

    def _described(self, findings: list[Finding], batch: Tensor, max_log10_p: float | None) -> list[Detection]:
        """Findings in a picture (1, 3, H, W), what is too likely by chance left out, surest first."""
        allowed = self.model.description.present if max_log10_p is None else max_log10_p
        if math.isnan(allowed):  # no chance is below it: all would be called unmarked
            raise ValueError("max_log10_p: expected a number, found nan; leave it out for the model's own")
        size = (int(batch.shape[-2]), int(batch.shape[-1]))
        detections = [_describe(finding, size) for finding in findings if finding.log10_p <= allowed]
        return sorted(detections, key=lambda detection: -detection.score)

    def batch_of(self, image: AnyImage) -> Tensor:
        """Any accepted picture as this model takes it: as ``to_batch``, or (1, 3, H, W) uint8 for a large one of 8 bits
        on a CPU."""
        batch = _samples(image)
        large = batch.shape[-2] * batch.shape[-1] > LARGE and self.device.type == "cpu"
        return batch if large and isinstance(self.model, EightBits) and self.model.takes_eight_bits else floats(batch)

    def _find(self, image: Tensor, effort: Effort) -> tuple[list[Finding], SearchSummary | None]:
        if isinstance(self.model, Explains):
            return self.model.find_and_explain(image, effort=effort)
        return self.model.find(image, effort=effort), None

    def predict(self, image: AnyImage) -> Tensor:
        """Mask logit and 32 bit logits of every pixel, as WAM gives them: (B, 33, H, W) float32 for B pictures, on the
        device of a tensor that was given, else on the CPU."""
        batch = to_batch(image)
        check_size(batch)
        with torch.inference_mode():
            return torch.stack([self.model.per_pixel(one.to(self.device)).to(batch.device) for one in batch])


def load(
    model: str | Path = DEFAULT,
    *,
    device: str = "auto",
    keys: Sequence[bytes | None] = (None,),
    precision: str = AUTO,
) -> Watermarker:
    """Loads a model by name or path: a checkpoint of this toolkit, or Meta's WAM weights.

    ``device`` "auto" takes CUDA, then MPS, then the CPU. ``keys``: secrets of at least 16 bytes that carriers are drawn
    from, by way of ``payload.derive_subkeys``; the first marks, all are tried in reading, None is the public carrier.
    ``precision`` "bf16" or "fp16" runs the extractor in autocast; "auto": see ``zoo.default_precision``. Raises
    ``ModelError`` for a missing, altered or foreign file and an absent device, ``ValueError`` for an unknown precision.
    """
    check_precision(precision)
    carriers = [None if key is None else derive_subkeys(key).carrier for key in keys]
    built = zoo.build(model, device=device, carriers=carriers, precision=precision)
    return Watermarker(built, device=zoo.choose_device(device), keys=keys)


def marked_like(marked: Tensor, batch: Tensor, image: AnyImage) -> Marked:
    """Rounds marked pictures (B, 3, H, W) to 8 bits and returns them as the kind of picture that was given, a tensor on
    its device; ``batch`` unmarked. Measured on the CPU, as not every device has double precision."""
    marked, batch = marked.cpu(), batch.cpu()
    if isinstance(image, Tensor):
        marked = rounded(marked)
        error = float((marked - batch).double().square().mean())
        return Marked(marked.to(image.device), decibels(1.0, error))
    array = to_pixels(marked[0])
    if isinstance(image, Image.Image):
        before, alpha = _shown(image)
        if alpha is not None:
            array = np.where(alpha[..., None] == 0, before, array)  # what is hidden stays as it is
        picture = Image.fromarray(array if alpha is None else np.dstack([array, alpha]))
        return Marked(picture, psnr(before, array))
    return Marked(array, psnr(image, array))


def _shown(image: Image.Image) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    """Colours (H, W, 3) uint8 and, of a picture with transparency in any mode, alpha (H, W) uint8."""
    if not image.has_transparency_data:
        return np.array(image.convert("RGB")), None
    samples = np.array(image.convert("RGBA"))
    return np.ascontiguousarray(samples[..., :3]), samples[..., 3]


def resize_mask(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    """A mask (h, w) at another size (height, width)."""
    coarse = torch.from_numpy(mask)[None, None].float()
    return (F.interpolate(coarse, size=size, mode="bilinear", align_corners=False)[0, 0] > 0.5).numpy()


def _check_single(batch: Tensor) -> None:
    """Raises ``ValueError`` for a batch of several pictures, or too small ones."""
    if len(batch) != 1:
        raise ValueError(f"image: expected one picture, found a batch of {len(batch)}; call once for each")
    check_size(batch)


def check_size(batch: Tensor) -> None:
    """Raises ``ValueError`` for pictures (B, 3, H, W) too small to be marked or searched."""
    height, width = batch.shape[-2:]
    if min(height, width) < SMALLEST_SIDE:
        raise ValueError(
            f"image: expected sides of at least {SMALLEST_SIDE} pixels, found {width}x{height}; use a larger copy"
        )


def to_batch(image: AnyImage) -> Tensor:
    """Any accepted picture as (B, 3, H, W) float32 in [0, 1]."""
    return floats(_samples(image))


def _samples(image: AnyImage) -> Tensor:
    """Any accepted picture as (B, 3, H, W): a tensor as float32 in [0, 1], any other as uint8."""
    if isinstance(image, Image.Image):
        if image.mode.startswith(DEEP_MODES):  # Pillow would cut their values off at 255
            raise ValueError(f"image: expected 8 bits per sample, found mode {image.mode}; scale it to 8 bits first")
        image, _ = _shown(image)
    if isinstance(image, np.ndarray):
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
            raise ValueError(
                f"image: expected (H, W, 3) uint8 RGB, found {image.shape} {image.dtype}; convert it first"
            )
        return view_of(image)
    if not isinstance(image, Tensor):
        raise ValueError(
            f"image: expected a PIL image, an array or a tensor, found {type(image).__name__}; convert it first"
        )
    if image.ndim != 4 or image.shape[1] != 3 or not image.is_floating_point() or not image.numel():
        raise ValueError(f"image: expected (B, 3, H, W) float in [0, 1], found {tuple(image.shape)} {image.dtype}")
    if image.layout != torch.strided or image.is_meta:
        kind = "meta" if image.is_meta else "sparse"
        raise ValueError(
            f"image: expected a tensor with values for all pixels, found a {kind} one; make it dense first"
        )
    values = image.detach().float()
    finite = torch.isfinite(values)
    if not finite.all():
        picture, channel, row, column = (int(place) for place in (~finite).nonzero()[0])
        raise ValueError(
            f"image: expected finite values in [0, 1], found {int((~finite).sum())} that are NaN or infinite, the "
            f"first in row {row}, column {column}, channel {channel} of picture {picture}; mend what made them"
        )
    if values.min() < 0 or values.max() > 1:
        raise ValueError("image: expected finite values in [0, 1], found others; divide 8-bit values by 255")
    return values


def to_bits(bits: AnyBits, count: int) -> Tensor:
    """Any accepted message as (count, 32) int64 in {0, 1}."""
    if isinstance(bits, str):
        bits = _digits(bits)
    elif isinstance(bits, Sequence) and bits and all(isinstance(one, str) for one in bits):
        bits = torch.tensor([_digits(str(one)) for one in bits])
    try:
        rows = torch.as_tensor(np.asarray(bits) if not isinstance(bits, Tensor) else bits)
    except (TypeError, ValueError):  # bytes, None, lists of several lengths
        found = str(bits)[:40]
        raise ValueError(f"bits: expected {count} message(s) of {BITS} zeros and ones, found {found}") from None
    rows = rows[None].expand(count, -1) if rows.ndim == 1 else rows
    if rows.shape != (count, BITS) or not bool(((rows == 0) | (rows == 1)).all()):
        raise ValueError(f"bits: expected {count} message(s) of {BITS} zeros and ones, found shape {tuple(rows.shape)}")
    return rows.long()


def _digits(message: str) -> list[int]:
    if len(message) != BITS or set(message) - {"0", "1"}:
        raise ValueError(f"bits: expected {BITS} characters 0 or 1, found {message[:40]!r}")
    return [int(character) for character in message]


def _describe(finding: Finding, size: tuple[int, int]) -> Detection:
    """A finding in a picture of ``size`` (height, width), its mask outlined."""
    logits = finding.logits.float().cpu().numpy()
    mask = finding.mask_logits.cpu()
    inside = mask > 0
    return Detection(
        bits="".join("1" if value > 0 else "0" for value in logits),
        logits=logits,
        region=outline(inside.numpy(), size),
        score=finding.score,
        log10_p=finding.log10_p,
        mask_score=round(float(torch.sigmoid(mask[inside]).mean()), 4) if inside.any() else 0.0,
        pose=finding.pose,
        key=finding.key,
        coarse_mask=inside.numpy(),
        size=size,
        how=finding.how,
        label=finding.label,
        foreign=finding.foreign,
        label_log10_p=finding.label_log10_p,
    )
