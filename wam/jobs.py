"""Jobs on files: mark one with a new id from the registry, or read one and look its words up."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from payload import Match, Record, bits_from_word, distance, format_link, hash_luma, read_word
from payload.entry import Entry
from payload.layout import Words
from payload.registry import Registry
from wam.errors import ImageError
from wam.formats import SUFFIXES
from wam.images import Picture, encode_image, read_image, require_embeddable, write_bytes
from wam.marker import PRESENT, SMALLEST_SIDE, Detection, Watermarker, to_batch

TRANSPLANT_DISTANCE = 22  # bits of 64: hashes of a marked picture and of another lie around 32, of its copies below 12
FAINT = -1.0  # log10 of the chance of a false alarm from which a mark's word is looked up
WHOLE = 0.9  # share of the picture from which a mark's region is compared with the registered hash


@dataclass(frozen=True)
class EmbedJob:
    """What to do with each file. ``registry`` already open; ``strength`` PSNR in dB."""

    marker: Watermarker
    registry: Registry
    strength: float


@dataclass(frozen=True)
class EmbedResult:
    """One marked file, ready for the contract's JSON."""

    image: str
    output: str
    picture: Picture
    entry: Entry
    psnr_db: float
    ssim: float
    model: str
    lost: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The contract's object for one image."""
        return {
            "image": self.image,
            "output": self.output,
            "width": self.picture.width,
            "height": self.picture.height,
            "mode": "link",
            "record": self.entry.record.to_dict(),
            "link": self.entry.link,
            "messages": [bits_from_word(self.entry.word)],
            "psnr_db": round(self.psnr_db, 2),
            "ssim": round(self.ssim, 4),
            "self_check": "passed",
            "model": self.model,
            "error": None,
        }


def embed_file(job: EmbedJob, source: str | Path, target: Path, record: Record) -> EmbedResult:
    """Marks one file with a new id. The id is kept only if the file was written and reads back right."""
    from piq import ssim  # imports torchvision's models, which takes as long as torch: reading does without

    picture = read_image(source)
    require_embeddable(picture)
    format = _format_of(target, picture)
    entry = job.registry.allocate(record)
    try:
        marked = job.marker.embed(picture.pixels, bits_from_word(entry.word), strength=job.strength).image
        assert isinstance(marked, np.ndarray)
        content, lost = encode_image(marked, like=picture, format=format, name=str(target))
        saved = read_image(content)
        _self_check(job, saved, entry, source)
    except BaseException:
        job.registry.discard(entry.word)
        raise
    try:
        write_bytes(target, content)
    except (ImageError, OSError):  # not after an interruption: the file may already be in its place
        job.registry.discard(entry.word)
        raise
    entry = job.registry.confirm(entry.word, phash=hash_luma(_luma(saved.pixels)), output=str(target))
    return EmbedResult(
        image=os.fspath(source),
        output=os.fspath(target),
        picture=picture,
        entry=entry,
        psnr_db=_psnr(picture.pixels, saved.pixels),
        ssim=float(ssim(to_batch(saved.pixels), to_batch(picture.pixels), data_range=1.0)),
        model=job.marker.name,
        lost=lost,
    )


class SelfCheckError(ImageError):
    """The encoded file does not read back as what was marked."""


def _self_check(job: EmbedJob, saved: Picture, entry: Entry, source: str | Path) -> None:
    """Reads the encoded file as a stranger would; raises ``SelfCheckError`` unless its word comes back verified."""
    words = job.registry.words()
    detections = job.marker.detect(saved.pixels, max_log10_p=FAINT)
    matches = [read_word(d.logits, words, presence_log10_p=d.log10_p) for d in detections]
    if any(match.status == "verified" and match.word == entry.word for match in matches):
        return
    expected = bits_from_word(entry.word)
    wrong = min((sum(a != b for a, b in zip(d.bits, expected, strict=True)) for d in detections), default=None)
    found = "no watermark" if wrong is None else f"{wrong} of 32 bits wrong"
    raise SelfCheckError.about(
        source,
        expected="the self-check to read the mark back",
        found=f"{found} (the picture may be too small or flat, or already marked)",
        remedy="use the unmarked original, a larger copy, or a lower --strength in dB; nothing was written",
    )


@dataclass(frozen=True)
class Reading:
    """One watermark of a file with what the registry says of it; ``transplanted``: on a picture other than its own."""

    detection: Detection
    match: Match
    entry: Entry | None
    transplanted: bool

    @property
    def link(self) -> str | None:
        """The short link of the accepted word."""
        return None if self.match.word is None else format_link(self.match.word)

    def to_dict(self) -> dict[str, Any]:
        """The contract's object for one watermark."""
        region, pose = self.detection.region, self.detection.pose
        return {
            "status": self.match.status,
            "mode": "link",
            "link": self.link,
            "record": self.entry.record.to_dict() if self.entry else None,
            "message": self.match.message,
            "bits": self.match.bits,
            "bit_confidence": [round(value, 3) for value in self.match.bit_confidence],
            "corrected": self.match.corrected,
            "log10_p": round(self.match.log10_p, 2),
            "mask_score": self.detection.mask_score,
            "region": {
                "bbox": list(region.bbox),
                "area": round(region.area, 4),
                "polygons": [[list(point) for point in polygon] for polygon in region.polygons],
            },
            "pose": {"scale": round(pose.scale, 3), "rotation_deg": pose.rotation_deg, "flipped": pose.flipped},
            "transplanted": self.transplanted,
        }


def detect_file(
    marker: Watermarker, source: str | Path, registry: Registry | None, *, thorough: bool = False
) -> tuple[Picture, list[Reading]]:
    """Every watermark of one file, with its record where the registry has one."""
    picture = read_image(source)
    if min(picture.width, picture.height) < SMALLEST_SIDE:
        raise ImageError.about(
            picture.name,
            expected=f"a picture of at least {SMALLEST_SIDE}x{SMALLEST_SIDE} pixels",
            found=f"{picture.width}x{picture.height}",
            remedy="use a larger copy",
        )
    detections = marker.detect(picture.pixels, thorough=thorough, max_log10_p=FAINT)
    words = registry.words() if registry is not None and detections else None
    readings = [_look_up(detection, picture, words, registry) for detection in detections]
    # a faint mark counts if its word is registered, which the match itself has weighed; any other has to be plain
    return picture, [r for r in readings if r.match.status == "verified" or r.detection.log10_p <= PRESENT]


def _look_up(detection: Detection, picture: Picture, words: Words | None, registry: Registry | None) -> Reading:
    match = read_word(detection.logits, words, presence_log10_p=detection.log10_p)
    if match.status != "verified" or registry is None or match.word is None:
        return Reading(detection, match, None, False)
    entry = registry.find(match.word)
    return Reading(detection, match, entry, entry is not None and _is_transplanted(detection, picture, entry))


def _is_transplanted(detection: Detection, picture: Picture, entry: Entry) -> bool:
    """Whether an upright mark over the whole picture sits on a picture unlike the registered one."""
    pose = detection.pose
    upright = abs(pose.rotation_deg) < 2 and not pose.flipped and abs(pose.scale - 1) < 0.03
    if entry.phash is None or detection.region.area < WHOLE or not upright:
        return False
    return distance(hash_luma(_luma(picture.pixels)), entry.phash) > TRANSPLANT_DISTANCE


def _format_of(target: Path, picture: Picture) -> str:
    """The format of an output name, or the input's for a name without one; others are refused first of all."""
    format = picture.format if target.suffix.lower() in ("", ".wm") else SUFFIXES.get(target.suffix.lower())
    if format is None:
        raise ImageError.about(
            target,
            expected=f"an output name ending in {', '.join(SUFFIXES)}",
            found=target.suffix or "no extension",
            remedy="choose one of these with -o",
        )
    return format


def _luma(pixels: np.ndarray) -> np.ndarray:
    return pixels @ np.array([0.299, 0.587, 0.114], dtype=np.float32)


def _psnr(first: np.ndarray, second: np.ndarray) -> float:
    """Peak signal-to-noise ratio of two 8-bit pictures, dB."""
    error = torch.from_numpy(first.astype(np.float32) - second.astype(np.float32)).square().mean()
    return float("inf") if error == 0 else float(10 * torch.log10(255**2 / error))
