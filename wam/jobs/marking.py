"""Marking files: read, mark, encode, read back, write. An id is kept only if the file was written and reads right.

``load``, ``mark`` and ``finish`` are the steps; they know nothing of the registry, so that any process on any machine
may take them. Marking the same file with the same word again gives the same bytes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from payload import PayloadError, Record, bits_from_word, format_link, hash_rgb, read_word
from payload.entry import Entry
from payload.layout import Words
from payload.registry import Registry
from wam.animation import Animation, encode_animation, read_animation
from wam.errors import ImageError
from wam.formats import SUFFIXES
from wam.images import Picture, encode_image, format_of, read_image, require_size
from wam.jobs.frames import mark_frames, same_frame, telling_frame
from wam.jobs.storage import Location, read_frames, read_picture, suffix_of, write_content
from wam.label import Label, mark_label, read_label
from wam.marker import Detection, Watermarker, to_batch, to_pixels
from wam.quality import is_flat, psnr, ssim


@dataclass(frozen=True)
class EmbedJob:
    """What to do with each file. ``registry`` already open; ``strength`` PSNR in dB, None for the model's own;
    ``frames``: mark all frames of animations, which are refused otherwise; ``label``: write the metadata label."""

    marker: Watermarker
    registry: Registry
    strength: float | None
    frames: bool = False
    label: bool = False


@dataclass(frozen=True)
class Loaded:
    """A picture that can be marked, and the format of its output. ``picture`` of an animation is its telling frame;
    ``label``: the owner to name in a metadata label, None for no label."""

    source: Location
    target: Location
    picture: Picture
    format: str
    animation: Animation | None = None
    label: str | None = None


@dataclass(frozen=True)
class Written:
    """What became of a file: size in pixels, ``sha256`` of the output in hex digits, ``phash`` 64 bits, ``psnr_db``
    and ``ssim`` of the saved file against the input, ``lost`` names what it could not carry over; ``notes`` on what
    a person should know, ``frames`` of an animation, ``labelled`` with metadata that says the same."""

    width: int
    height: int
    sha256: str
    phash: int
    psnr_db: float
    ssim: float
    lost: tuple[str, ...]
    notes: tuple[str, ...] = ()
    frames: int = 1
    labelled: bool = False

    def to_dict(self, image: str, output: str, content: dict[str, Any], model: str) -> dict[str, Any]:
        """The contract's object for one image; ``content``: its keys on what was put in, mode to messages."""
        return {
            "image": image,
            "output": output,
            "width": self.width,
            "height": self.height,
            **content,
            "psnr_db": round(self.psnr_db, 2),
            "ssim": round(self.ssim, 4),
            "self_check": "passed",
            "model": model,
            "error": None,
            "lost": list(self.lost),
            "notes": list(self.notes),
            "frames": self.frames,
            "labelled": self.labelled,
        }


@dataclass(frozen=True)
class EmbedResult:
    """One marked file, ready for the contract's JSON."""

    image: str
    output: str
    entry: Entry
    model: str
    written: Written

    def to_dict(self) -> dict[str, Any]:
        """The contract's object for one image."""
        content = {
            "mode": "link",
            "record": self.entry.record.to_dict(),
            "link": self.entry.link,
            "messages": [bits_from_word(self.entry.word)],
        }
        return self.written.to_dict(self.image, self.output, content, self.model)


class SelfCheckError(ImageError):
    """The encoded file does not read back as what was marked."""


def embed_file(job: EmbedJob, source: Location, target: Location, record: Record) -> EmbedResult:
    """Marks one file with a new id. Raises ``ImageError``, and ``PayloadError`` where the registry is the trouble."""
    loaded = load(source, target, frames=job.frames, label=record.owner if job.label else None)
    entry = job.registry.allocate(record)
    words = job.registry.words()
    try:
        (pixels,) = mark(job.marker, [loaded], [entry.word], job.strength)
        content, saved, lost = encode(job.marker, loaded, pixels, entry.word)
        self_check(job.marker, saved, entry.word, words, loaded)
    except BaseException:
        discard(job.registry, entry)
        raise
    try:
        write_content(target, content)
    except (ImageError, OSError):  # not after an interruption: the file may already be in its place
        discard(job.registry, entry)
        raise
    written = describe(loaded, content, saved, lost)
    return confirm(job.registry, entry, loaded, written, job.marker.name)


def load(source: Location, target: Location, *, frames: bool = False, label: str | None = None) -> Loaded:
    """Reads a picture that is to be marked; raises ``ImageError`` if it cannot be read, marked or written as named.

    ``frames``: an animation is taken with all its frames; ``label`` as in ``Loaded``.
    """
    animation = read_frames(source) if frames else None
    if animation is not None and len(animation.pictures) > 1:
        picture = telling_frame(animation)
    else:
        picture = read_picture(source) if animation is None else animation.pictures[0]
        animation = None
    require_size(picture)
    return Loaded(source, target, picture, _format_of(target, picture), animation, label)


def mark(
    marker: Watermarker, pictures: Sequence[Loaded], words: Sequence[int], strength: float | None
) -> list[NDArray[np.uint8]]:
    """Marked pixels of each picture, (H, W, 3) uint8, with the frames of an animation in front. Pictures of one size go
    through the networks together."""
    sizes: dict[tuple[int, ...], list[int]] = {}
    marked: dict[int, NDArray[np.uint8]] = {}
    for index, loaded in enumerate(pictures):
        if loaded.animation is not None:
            marked[index] = mark_frames(marker, loaded.animation, words[index], strength)
        else:
            sizes.setdefault(loaded.picture.pixels.shape, []).append(index)
    for indices in sizes.values():
        if len(indices) == 1:
            index = indices[0]
            pixels = marker.embed(pictures[index].picture.pixels, bits_from_word(words[index]), strength=strength).image
            assert isinstance(pixels, np.ndarray)
            marked[index] = pixels
            continue
        batch = torch.cat([to_batch(pictures[index].picture.pixels) for index in indices])
        bits = [[int(bit) for bit in bits_from_word(words[index])] for index in indices]
        images = marker.embed(batch, torch.tensor(bits), strength=strength).image
        assert isinstance(images, torch.Tensor)
        marked.update(zip(indices, map(to_pixels, images), strict=True))
    return [marked[index] for index in range(len(pictures))]


def finish(
    marker: Watermarker,
    loaded: Loaded,
    pixels: NDArray[np.uint8],
    word: int,
    words: Words,
    *,
    make_folders: bool = False,
) -> Written:
    """Encodes, reads back as a stranger would, and writes; raises ``ImageError`` with nothing written.

    ``words`` (N,) uint32: those in use in the registry, ``word`` among them.
    """
    content, saved, lost = encode(marker, loaded, pixels, word)
    self_check(marker, saved, word, words, loaded)
    write_content(loaded.target, content, make_folders=make_folders)
    return describe(loaded, content, saved, lost)


def encode(
    marker: Watermarker, loaded: Loaded, pixels: NDArray[np.uint8], word: int | None = None
) -> tuple[bytes, Picture, tuple[str, ...]]:
    """The output's content, the picture a reader of it gets, and names for what it could not carry over.

    ``word`` goes into the metadata label where one is wanted.
    """
    name, format, label = os.fspath(loaded.target), loaded.format, _label(loaded, word)
    if loaded.animation is None:
        content, lost = encode_image(pixels, like=loaded.picture, format=format, name=name, label=label)
        return content, read_image(content), lost
    content, lost = encode_animation(list(pixels), like=loaded.animation, format=format, name=name, label=label)
    return content, same_frame(loaded.animation, read_animation(content), loaded.picture), lost


def _label(loaded: Loaded, word: int | None) -> Label | None:
    if loaded.label is None or word is None:
        return None
    earlier = read_label(loaded.picture.metadata)
    return mark_label(earlier, owner=loaded.label, link=format_link(word), message=bits_from_word(word))


def self_check(marker: Watermarker, saved: Picture, word: int, words: Words, loaded: Loaded) -> None:
    """Raises ``SelfCheckError`` unless the word comes back verified from the saved picture."""
    faint = marker.model.description.faint
    detections = marker.detect(saved.pixels, max_log10_p=faint)
    matches = [read_word(d.logits, words, presence_log10_p=d.log10_p) for d in detections]
    if any(match.status == "verified" and match.word == word for match in matches):
        return
    expected = bits_from_word(word)
    wrong = min((sum(a != b for a, b in zip(d.bits, expected, strict=True)) for d in detections), default=None)
    found = "no watermark" if wrong is None else f"{wrong} of 32 bits wrong"
    remedy = "use a larger copy or one with more detail, or a lower --strength in dB; nothing was written"
    earlier = marker.detect(loaded.picture.pixels)
    if earlier:
        found += f", on an input that is marked already{_named(earlier[0], words)}"
        remedy = "use the unmarked original; nothing was written"
    raise SelfCheckError.about(
        loaded.source, expected="the self-check to read the mark back", found=found, remedy=remedy
    )


def _named(detection: Detection, words: Words) -> str:
    """The link of an earlier mark, in brackets, where it can be read."""
    word = read_word(detection.logits, words, presence_log10_p=detection.log10_p).word
    return "" if word is None else f" ({format_link(word)})"


def describe(loaded: Loaded, content: bytes, saved: Picture, lost: tuple[str, ...]) -> Written:
    """What was written, measured on the saved picture."""
    before = loaded.picture
    return Written(
        width=before.width,
        height=before.height,
        sha256=hashlib.sha256(content).hexdigest(),
        phash=hash_rgb(saved.pixels),
        psnr_db=psnr(before.pixels, saved.pixels),
        ssim=ssim(before.pixels, saved.pixels),
        lost=lost,
        notes=tuple(_notes(loaded)),
        frames=1 if loaded.animation is None else len(loaded.animation.pictures),
        labelled=loaded.label is not None and "label" not in lost,
    )


def _notes(loaded: Loaded) -> Iterator[str]:
    """What a person should know of a file that was marked all the same."""
    named = SUFFIXES.get(suffix_of(loaded.source))
    if named is not None and named != loaded.picture.format:
        yield f"named as {named}, holds {loaded.picture.format}, written as {loaded.format}"
    if is_flat(loaded.picture.pixels):
        yield "nearly flat: nothing hides the mark, it may be seen"


def confirm(registry: Registry, entry: Entry, loaded: Loaded, written: Written, model: str) -> EmbedResult:
    """Enters the written file in the registry."""
    entry = registry.confirm(entry.word, phash=written.phash, output=os.fspath(loaded.target))
    return EmbedResult(os.fspath(loaded.source), os.fspath(loaded.target), entry, model, written)


def discard(registry: Registry, entry: Entry) -> None:
    """Gives an id up; where the registry does not answer it stays pending, which names no file either."""
    with suppress(PayloadError):
        registry.discard(entry.word)


def _format_of(target: Location, picture: Picture) -> str:
    """The format of an output name, or the input's for a name without one; others are refused first of all."""
    return picture.format if suffix_of(target) in ("", ".wm") else format_of(os.fspath(target))
