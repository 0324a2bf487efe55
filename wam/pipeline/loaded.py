"""One file's way in and out, whatever is put into it: what is read of it, encoded, written, and said of it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from payload import Record, bits_from_word, format_link, hash_rgb
from wam.pictures.animation import Animation, encode_animation, read_animation
from wam.pictures.files import Picture, encode_image, format_of, read_image, require_size
from wam.pictures.formats import SUFFIXES
from wam.pictures.quality import is_flat, psnr, ssim
from wam.pictures.storage import Location, exists, read_frames, read_picture, suffix_of, write_content
from wam.pipeline.frames import same_frame, telling_frame
from wam.provenance.aigc_label import Label, labelled, mark_label, read_label
from wam.signal.mark_grid import SMALLEST_SIDE


@dataclass(frozen=True)
class Loaded:
    """A picture that can be marked, and the format of its output. ``picture`` of an animation is its telling frame;
    ``label``: the owner to name in a metadata label, None for no label; ``quality`` of the output, None for the
    source's own."""

    source: Location
    target: Location
    picture: Picture
    format: str
    animation: Animation | None = None
    label: str | None = None
    quality: int | None = None

    @property
    def pixels(self) -> int:
        """How many there are in all that is marked."""
        frames = 1 if self.animation is None else len(self.animation.pictures)
        return self.picture.width * self.picture.height * frames


@dataclass(frozen=True)
class Written:
    """What became of a file: size in pixels, ``sha256`` of the output in hex digits, ``phash`` 64 bits, ``psnr_db``
    and ``ssim`` of the saved file against the input, ``lost`` names what it could not carry over; ``notes`` on what
    a person should know, ``frames`` of an animation, ``labelled`` with metadata that says the same;
    ``replaced`` another file of its name, not the input."""

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
    replaced: bool = False

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


def load(
    source: Location,
    target: Location,
    *,
    frames: bool = False,
    label: str | None = None,
    quality: int | None = None,
) -> Loaded:
    """Reads a picture that is to be marked; raises ``ImageError`` if it cannot be read, marked or written as named.

    ``frames``: an animation is taken with all its frames; ``label`` and ``quality`` as in ``Loaded``.
    """
    animation = read_frames(source) if frames else None
    if animation is not None and len(animation.pictures) > 1:
        picture = telling_frame(animation)
    else:
        picture = read_picture(source) if animation is None else animation.pictures[0]
        animation = None
    require_size(picture, SMALLEST_SIDE)
    return Loaded(source, target, picture, _format_of(target, picture), animation, label, quality)


def encode(
    loaded: Loaded, pixels: NDArray[np.uint8], label: Label | None = None
) -> tuple[bytes, Picture, tuple[str, ...]]:
    """The output's content, the picture a reader of it gets, and names for what it could not carry over."""
    target: dict[str, Any] = {"format": loaded.format, "name": os.fspath(loaded.target)}
    if loaded.animation is None:
        like = loaded.picture if label is None else labelled(loaded.picture, label, **target)[0]
        content, lost = encode_image(pixels, like=like, quality=loaded.quality, **target)
        return content, read_image(content), lost
    animation = loaded.animation if label is None else labelled(loaded.animation, label, **target)[0]
    content, lost = encode_animation(list(pixels), like=animation, quality=loaded.quality, **target)
    return content, same_frame(loaded.animation, read_animation(content), loaded.picture), lost


def link_label(loaded: Loaded, word: int) -> Label | None:
    """The label for the file's metadata, None where none is wanted."""
    return label_for(loaded, format_link(word), bits_from_word(word))


def record_name(record: Record) -> str:
    """What a label calls a mark that is a whole record, which has no link.

    >>> record_name(Record("123", "acme"))
    'wm:record:123'
    """
    return f"wm:record:{record.asset}"


def label_for(loaded: Loaded, name: str, message: str) -> Label | None:
    """The same with the ``name`` of what the mark stands for, and 32 characters of the mark itself."""
    if loaded.label is None:
        return None
    return mark_label(read_label(loaded.picture.metadata), owner=loaded.label, link=name, message=message)


def write(loaded: Loaded, content: bytes, *, make_folders: bool = False) -> bool:
    """Writes an output whole or not at all; True if it took the place of a file other than the input."""
    replaced = loaded.target != loaded.source and exists(loaded.target)
    write_content(loaded.target, content, make_folders=make_folders)
    return replaced


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
        yield "smooth over large areas, where the mark may be seen: a higher --strength makes it fainter"


def _format_of(target: Location, picture: Picture) -> str:
    """The format of an output name, or the input's for a name without one; others are refused first of all."""
    return picture.format if suffix_of(target) in ("", ".wm") else format_of(os.fspath(target))
