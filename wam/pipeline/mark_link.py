"""Marking files: mark, encode, read back, write. An id is kept only if the file was written and reads right.

``mark`` and ``finish`` are the steps after ``files.load``; they know nothing of the registry, so that any process on
any machine may take them. Marking the same file with the same word again gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from payload import PayloadError, bits_from_word, format_link, read_word
from payload.layout import Words
from payload.registry import Registry
from payload.registry.entry import Entry
from wam.errors import ImageError
from wam.pictures.files import Picture
from wam.pictures.quality import psnr
from wam.pipeline.frames import each_frame
from wam.pipeline.loaded import Loaded, Written, describe, encode, link_label, write
from wam.watermarker import Detection, Watermarker

DIFFERENT = 6  # bits in which two words differ at least
# times the median logit that the mean of so many least ones is at least: .78 in marked photos, .39 at most in photos
# that were marked with another word before
EVEN = 0.6
STRONGER = 42.0  # dB: of pictures whose usual strength does not read back, pages of text say
UNDER = 0.5  # share of the input that an earlier mark covers from which a new one lies over it


@dataclass(frozen=True)
class EmbedResult:
    """One marked file, ready for the contract's JSON."""

    image: str
    output: str
    entry: Entry
    model: str
    written: Written

    @property
    def shown(self) -> str:
        """What was put in, for people."""
        return self.entry.link

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
    """The encoded file does not read back as what was marked; ``over_another``: its input was marked already."""

    over_another = False


def mark(
    marker: Watermarker, pictures: Sequence[Loaded], words: Sequence[int], strength: float | None
) -> list[NDArray[np.uint8]]:
    """Marked pixels of each picture, (H, W, 3) uint8, with the frames of an animation in front. Pictures that come to
    one working size go through the networks together."""
    marked: dict[int, NDArray[np.uint8]] = {}
    still: list[int] = []
    for index, loaded in enumerate(pictures):
        if loaded.animation is None:
            still.append(index)
        else:
            marked[index] = each_frame(
                loaded.animation, partial(marker.embed, bits=bits_from_word(words[index]), strength=strength)
            )
    together = marker.embed_each(
        [pictures[index].picture.pixels for index in still],
        [bits_from_word(words[index]) for index in still],
        strength=strength,
    )
    marked.update(zip(still, together, strict=True))
    return [marked[index] for index in range(len(pictures))]


def finish(
    marker: Watermarker,
    loaded: Loaded,
    pixels: NDArray[np.uint8],
    word: int,
    words: Words,
    *,
    strength: float | None = None,
    make_folders: bool = False,
) -> Written:
    """Encodes, reads back as a stranger would, and writes; raises ``ImageError`` with nothing written.

    ``words`` (N,) uint32: those in use in the registry, ``word`` among them. Where ``strength`` is None, so that the
    model chose it, a mark that does not read back is made stronger once, and that is noted.
    """
    label = link_label(loaded, word)
    notes: tuple[str, ...] = ()
    content, saved, lost = encode(loaded, pixels, label)
    room = strength is None and psnr(loaded.picture.pixels, saved.pixels) > STRONGER + 1
    try:
        self_check(marker, saved, word, words, loaded, search=not room)
    except SelfCheckError as error:
        if not room or error.over_another:
            raise
        content, saved, lost = encode(loaded, mark(marker, [loaded], [word], STRONGER)[0], label)
        self_check(marker, saved, word, words, loaded)
        notes = (f"marked at {STRONGER:g} dB, stronger than usual, since it could not be read back otherwise",)
    replaced = write(loaded, content, make_folders=make_folders)
    written = describe(loaded, content, saved, lost)
    return replace(written, replaced=replaced, notes=written.notes + notes)


def self_check(
    marker: Watermarker, saved: Picture, word: int, words: Words, loaded: Loaded, *, search: bool = True
) -> None:
    """Raises ``SelfCheckError`` unless the word comes back verified from the saved picture, undisturbed by a mark that
    the input carried before. ``search``: not only at the usual resolution."""
    faint = marker.model.description.faint
    for look in (marker.glance, marker.detect) if search else (marker.glance,):
        detections = look(saved.pixels, max_log10_p=faint)
        own = next((one for one in detections if _reads(one, word, words)), None)
        if own is not None:
            break
    if own is not None and is_even(own):
        return
    earlier = [one for one in marker.glance(loaded.picture.pixels) if one.region.area > UNDER]
    if own is not None and not earlier:
        return
    expected = bits_from_word(word)
    wrong = min((sum(a != b for a, b in zip(d.bits, expected, strict=True)) for d in detections), default=None)
    found = "no watermark" if wrong is None else f"{wrong} of 32 bits wrong" if own is None else "unsure bits"
    remedy = "use a larger copy or one with more detail, or a lower --strength in dB; nothing was written"
    if earlier:
        found += f", on an input that is marked already{_named(earlier[0], words)}"
        remedy = "use the unmarked original; nothing was written"
    error = SelfCheckError.about(
        loaded.source, expected="the self-check to read the mark back", found=found, remedy=remedy
    )
    error.over_another = bool(earlier)
    raise error


def _reads(detection: Detection, word: int, words: Words) -> bool:
    match = read_word(detection.logits, words, presence_log10_p=detection.log10_p)
    return match.status == "verified" and match.word == word


def is_even(detection: Detection) -> bool:
    """Whether even the bits that are least sure are not much less so than others, as in a mark that lies alone. Where
    two lie over one another, those in which they differ are unsure, and a little compression turns them over."""
    magnitudes = np.sort(np.abs(detection.logits))
    return bool(magnitudes[:DIFFERENT].mean() > EVEN * np.median(magnitudes))


def _named(detection: Detection, words: Words) -> str:
    """The link of an earlier mark, in brackets, where it can be read."""
    word = read_word(detection.logits, words, presence_log10_p=detection.log10_p).word
    return "" if word is None else f" ({format_link(word)})"


def discard(registry: Registry, entry: Entry) -> None:
    """Gives an id up; where the registry does not answer it stays pending, which names no file either."""
    with suppress(PayloadError):
        registry.discard(entry.word)
