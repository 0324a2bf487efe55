"""One picture's way in and out: content that can be marked, and the content of the marked file."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wam.errors import ImageError
from wam.pictures.animation import Animation, decode_animation, encode_animation, read_animation
from wam.pictures.files import encode_image, format_of, read_image, require_size
from wam.pictures.formats import MODES, QUALITY
from wam.pictures.kinds import READ_ONLY, READ_ONLY_NAMES
from wam.pictures.paged import let_go, paged
from wam.pictures.reader import decode
from wam.pictures.samples import Picture
from wam.pictures.storage import digest_of
from wam.pipeline.frames import same_frame, telling_frame
from wam.pipeline.options import MarkOptions
from wam.provenance.aigc_label import Label
from wam.provenance.label_packet import labelled
from wam.signal.mark_grid import SMALLEST_SIDE

FINE = 80  # quality at which marks survive
COARSE = 58.0  # mean of a quantisation table at quality 50 (ITU-T T.81, table K.1); coarser ones may cost the mark


@dataclass(frozen=True)
class Loaded:
    """A picture that can be marked; ``picture`` of an ``animation`` is its telling frame. ``target``: what errors call
    the output, and its ``format``; ``digest`` the SHA-256 of its file's content, in hexadecimal digits; ``content``
    itself, where it becomes an ingredient of a manifest; ``carried``: what the encoder cannot keep, and a manifest
    does."""

    picture: Picture
    target: str
    format: str
    animation: Animation | None = None
    digest: str | None = None
    content: bytes | None = field(default=None, repr=False)
    carried: frozenset[str] = frozenset()

    @property
    def pixels(self) -> int:
        """How many there are in all that is marked."""
        frames = 1 if self.animation is None else len(self.animation.pictures)
        return self.picture.width * self.picture.height * frames


def finer(loaded: Loaded, options: MarkOptions) -> int | None:
    """The quality for a lossy picture whose own quality wears its mark away; None where that is not so."""
    source = loaded.picture.settings.source_quality
    if options.quality is not None or source is None or loaded.format != loaded.picture.format:
        return None
    return QUALITY[loaded.format] if source < QUALITY[loaded.format] else None


def load(
    content: bytes, *, name: str = "picture", target: str | None = None, frames: bool = False, keep: bool = False
) -> Loaded:
    """Decodes a file that is to be marked; raises ``ImageError`` if it cannot be read, marked or written as named.

    ``target``: the output's name, whose extension decides its format; one without, or None, means the input's own.
    ``frames``: an animation is taken with all its frames; ``keep``: its content is kept beside it.
    """
    animation = decode_animation(content, name=name) if frames else None
    if animation is not None and len(animation.pictures) > 1:
        picture = telling_frame(animation)
    else:
        picture = decode(content, name=name) if animation is None else animation.pictures[0]
        animation = None
    require_size(picture, SMALLEST_SIDE)
    if animation is None:
        picture = replace(picture, pixels=paged(picture.pixels))
    loaded = Loaded(picture, name, picture.format, animation, digest_of(content), content if keep else None)
    return named(loaded, target)


def named(loaded: Loaded, target: str | None) -> Loaded:
    """The same picture for an output of another name; raises ``ImageError`` as ``load``."""
    own = loaded.picture
    suffix = PurePosixPath(target or "").suffix.lower()
    if suffix in READ_ONLY or (suffix in ("", ".wm") and own.format not in MODES):
        found = f"{READ_ONLY_NAMES.get(READ_ONLY.get(suffix, own.format))}, which is read, not written"
        raise ImageError.about(own.name, expected="another output format", found=found, remedy="choose -o NAME.png")
    written_as = target or own.name
    return replace(loaded, target=written_as, format=own.format if suffix in ("", ".wm") else format_of(written_as))


def is_coarse(loaded: Loaded, quality: int | None) -> bool:
    """Whether the output is saved so coarsely that it may cost the mark, and a higher quality helps: as told, or as the
    JPEG was that it comes from."""
    if quality is not None:
        return loaded.format in QUALITY and quality < FINE
    tables = loaded.picture.settings.tables if loaded.format == loaded.picture.format else ()
    return bool(tables) and sum(tables[0]) / len(tables[0]) > COARSE


def encode(
    loaded: Loaded, pixels: NDArray[np.uint8], *, label: Label | None = None, quality: int | None = None
) -> tuple[bytes, Picture, tuple[str, ...]]:
    """The output's content, the picture a reader of it gets, and names for what it could not carry over.

    ``pixels`` (H, W, 3) uint8, with the frames of an animation in front; ``quality`` 1 to 100, None for the source's.
    """
    target: dict[str, Any] = {"format": loaded.format, "name": loaded.target}
    if loaded.animation is None:
        let_go(loaded.picture.pixels)
        picture = loaded.picture if label is None else labelled(loaded.picture, label, **target)[0]
        content, lost = encode_image(pixels, like=picture, quality=quality, **target)
        let_go(pixels)
        return content, read_image(content), lost
    animation = loaded.animation if label is None else labelled(loaded.animation, label, **target)[0]
    content, lost = encode_animation(list(pixels), like=animation, quality=quality, **target)
    return content, same_frame(loaded.animation, read_animation(content), loaded.picture), lost
