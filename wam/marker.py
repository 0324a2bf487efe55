"""The public interface on pictures: ``Watermarker.embed`` and ``Watermarker.detect``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from wam.calibration import Calibration
from wam.carrier import BITS
from wam.model import WORKING_SIDE, WatermarkModel
from wam.outline import Region, outline
from wam.perpixel import per_pixel
from wam.search import Found, search

DEFAULT_STRENGTH = 42.0  # PSNR of the marked picture, dB; see checkpoints/README.md for what other values cost
STRENGTHS = (30.0, 55.0)  # accepted range, dB
SMALLEST_SIDE = 32  # pixels
PRESENT = -4.0  # log10 of the chance of a false alarm that a detection may have, all that was tried counted

AnyImage = Image.Image | NDArray[np.uint8] | Tensor
AnyBits = str | Sequence[int] | NDArray[Any] | Tensor


@dataclass(frozen=True)
class FoundPose:
    """How the marked picture lies in the file. ``scale`` 1.0: as a whole picture of this size is marked;
    ``rotation_deg`` counter-clockwise; ``flipped`` left-right."""

    scale: float
    rotation_deg: float
    flipped: bool


@dataclass(frozen=True, eq=False)
class Detection:
    """One watermark of a picture.

    ``bits`` 32 characters as read, before any correction; ``logits`` (32,) float32, positive for a one; ``region`` in
    pixels; ``score`` joint score and ``log10_p`` the chance of such a score without a watermark, counting all that was
    tried; ``mask_score`` mean confidence of the mask in [0, 1]; ``key`` index of the carrier, 0 is the first.
    """

    bits: str
    logits: NDArray[np.float32]
    region: Region
    score: float
    log10_p: float
    mask_score: float
    pose: FoundPose
    key: int
    coarse_mask: NDArray[np.bool_]
    size: tuple[int, int]

    @property
    def mask(self) -> NDArray[np.bool_]:
        """(H, W) bool at the picture's own size."""
        coarse = torch.from_numpy(self.coarse_mask)[None, None].float()
        return (F.interpolate(coarse, size=self.size, mode="bilinear", align_corners=False)[0, 0] > 0.5).numpy()


@dataclass(frozen=True, eq=False)
class Marked:
    """``image`` of the kind that was given; ``psnr_db`` against the input, on the 8-bit picture."""

    image: AnyImage
    psnr_db: float


class Watermarker:
    """Marks and reads pictures: PIL images, (H, W, 3) uint8 arrays, or (B, 3, H, W) float tensors in [0, 1]."""

    def __init__(self, model: WatermarkModel, calibration: Calibration, *, name: str, device: str = "cpu") -> None:
        self.model = model.eval()
        self.calibration = calibration
        self.name = name
        self.device = torch.device(device)

    def embed(self, image: AnyImage, bits: AnyBits, *, strength: float = DEFAULT_STRENGTH) -> Marked:
        """Adds a 32-bit message. ``strength`` is the PSNR to aim for in dB; pictures that show more get less.

        A tensor may hold several pictures with one message each, bits (B, 32), or one message for all.
        """
        if not STRENGTHS[0] <= strength <= STRENGTHS[1]:
            raise ValueError(
                f"strength: expected {STRENGTHS[0]:g} to {STRENGTHS[1]:g} dB, found {strength:g}; 42 is usual"
            )
        batch = to_batch(image)
        if min(batch.shape[-2:]) < SMALLEST_SIDE:
            size = f"{batch.shape[-1]}x{batch.shape[-2]}"
            raise ValueError(
                f"image: expected sides of at least {SMALLEST_SIDE} pixels, found {size}; use a larger copy"
            )
        rows = to_bits(bits, len(batch)).to(self.device)
        with torch.inference_mode():
            marked = self.model.mark(batch.to(self.device), rows, psnr_db=strength).cpu()
        marked = (marked * 255).round() / 255
        error = float((marked - batch).double().square().mean())
        psnr = float("inf") if error == 0 else -10 * float(np.log10(error))
        return Marked(_like(marked, image), psnr)

    def detect(self, image: AnyImage, *, thorough: bool = False, max_log10_p: float = PRESENT) -> list[Detection]:
        """Every watermark of one picture, surest first; an empty list when there is none.

        ``max_log10_p``: the chance of a false alarm a detection may have; callers who check the words may allow more.
        """
        batch = to_batch(image)
        if len(batch) != 1:
            raise ValueError(f"image: expected one picture, found a batch of {len(batch)}; call once for each")
        if min(batch.shape[-2:]) < SMALLEST_SIDE:
            return []
        result = search(self.model, batch[0].to(self.device), thorough=thorough, threshold=self.calibration.threshold)
        size = (int(batch.shape[-2]), int(batch.shape[-1]))
        detections = [self._describe(found, size, result.tried) for found in result.found]
        detections = [detection for detection in detections if detection.log10_p <= max_log10_p]
        return sorted(detections, key=lambda detection: -detection.score)

    def predict(self, image: AnyImage) -> Tensor:
        """Mask logit and 32 bit logits of every pixel, as WAM gives them: (B, 33, H, W) float32 for B pictures."""
        batch = to_batch(image)
        size = (int(batch.shape[-2]), int(batch.shape[-1]))
        results = [search(self.model, one.to(self.device), threshold=self.calibration.threshold) for one in batch]
        return torch.stack([per_pixel(result.found, self.model.carriers, size) for result in results])

    def _describe(self, found: Found, size: tuple[int, int], tried: int) -> Detection:
        logits = self.calibration.bit_logits(found.votes).cpu().numpy()
        mask = found.mask_logits.cpu()
        inside = mask > 0
        expected = min(size) / min(WORKING_SIDE, *size)
        pose = FoundPose(
            round(found.pose.scale / expected, 4), round(found.pose.rotation_deg, 2) + 0.0, found.pose.flipped
        )
        chance = self.calibration.log10_presence(found.score) + float(np.log10(max(tried, 1)))
        return Detection(
            bits="".join("1" if value > 0 else "0" for value in logits),
            logits=logits,
            region=outline(inside.numpy(), size),
            score=found.score,
            log10_p=min(0.0, chance),
            mask_score=round(float(torch.sigmoid(mask[inside]).mean()), 4) if inside.any() else 0.0,
            pose=pose,
            key=found.carrier,
            coarse_mask=inside.numpy(),
            size=size,
        )


def to_batch(image: AnyImage) -> Tensor:
    """Any accepted picture as (B, 3, H, W) float32 in [0, 1]."""
    if isinstance(image, Image.Image):
        image = np.array(image.convert("RGB"))
    if isinstance(image, np.ndarray):
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(
                f"image: expected (H, W, 3) uint8 RGB, found {image.shape} {image.dtype}; convert it first"
            )
        return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255
    if not isinstance(image, Tensor):
        raise ValueError(
            f"image: expected a PIL image, an array or a tensor, found {type(image).__name__}; convert it first"
        )
    if image.ndim != 4 or image.shape[1] != 3 or not image.is_floating_point() or not image.numel():
        raise ValueError(f"image: expected (B, 3, H, W) float in [0, 1], found {tuple(image.shape)} {image.dtype}")
    if not torch.isfinite(image).all() or image.min() < 0 or image.max() > 1:
        raise ValueError("image: expected finite values in [0, 1], found others; divide 8-bit values by 255")
    return image.float()


def to_bits(bits: AnyBits, count: int) -> Tensor:
    """Any accepted message as (count, 32) int64 in {0, 1}."""
    if isinstance(bits, str):
        if set(bits) - {"0", "1"}:
            raise ValueError(f"bits: expected 32 characters 0 or 1, found {bits[:40]!r}")
        bits = [int(character) for character in bits]
    rows = torch.as_tensor(np.asarray(bits) if not isinstance(bits, Tensor) else bits)
    rows = rows[None].expand(count, -1) if rows.ndim == 1 else rows
    if rows.shape != (count, BITS) or not bool(((rows == 0) | (rows == 1)).all()):
        raise ValueError(f"bits: expected {count} message(s) of {BITS} zeros and ones, found shape {tuple(rows.shape)}")
    return rows.long()


def _like(batch: Tensor, image: AnyImage) -> AnyImage:
    """A marked batch as the kind of picture that was given."""
    if isinstance(image, Tensor):
        return batch
    array = (batch[0] * 255).round().byte().permute(1, 2, 0).contiguous().numpy()
    return Image.fromarray(array) if isinstance(image, Image.Image) else array
