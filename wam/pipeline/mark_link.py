"""Link mode: a picture gets the 32-bit word of a record that a registry keeps, and is read back before it counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from payload import Record, bits_from_word, format_link, read_word
from payload.layout import Words
from wam.errors import OptionsError
from wam.networks.strength import Amount, shown
from wam.pictures.samples import Picture
from wam.pipeline.loaded import FINE, Loaded, encode, finer, is_coarse
from wam.pipeline.marked import MarkedFile, SelfCheckError, label_for, marked_file
from wam.pipeline.marking import Request, draw_apart, mark_one
from wam.pipeline.options import MarkOptions, require_mode
from wam.pipeline.registered_words import RegisteredWords
from wam.signal.label import Label
from wam.stages import tell
from wam.watermarker import Detection, Marked, Watermarker

DIFFERENT = 6  # bits in which two words differ at least
# times the median logit that the mean of so many least ones is at least: .78 in marked photos, .39 at most in photos
# that were marked with another word before
EVEN = 0.6
STRONGER: tuple[Amount, ...] = ("strong", 42.0)  # a name or dB, tried in turn on what is not read surely, as text
REUSED = "the link of an earlier mark of this picture for this record; --new-link makes another"
UNDER = 0.5  # share of the input that an earlier mark covers from which a new one lies over it


def mark_link(
    marker: Watermarker,
    loaded: Loaded,
    *,
    record: Record,
    word: int,
    label: Label | None = None,
    words: RegisteredWords | None = None,
    options: MarkOptions | None = None,
) -> MarkedFile:
    """Marks one picture with the ``word`` that stands for ``record`` in a registry, ``words`` those in use there; with
    the ``label`` of the registry and its generation where that gives out labelled words.

    Raises ``ImageError``, ``SelfCheckError`` for a mark that does not read back. The registry is not asked: whoever
    reserved the word confirms it when the file is where it belongs, or gives it up.
    """
    marking = LinkMarking(options or MarkOptions(), words or RegisteredWords())
    return mark_one(marker, marking, Request(loaded, record, word, label))


@dataclass(frozen=True)
class LinkMarking:
    """The ``Marking`` of link mode."""

    options: MarkOptions = field(default_factory=MarkOptions)
    words: RegisteredWords = field(default_factory=RegisteredWords)

    def __post_init__(self) -> None:
        require_mode("link", self.options)

    def plan(self, marker: Watermarker, request: Request) -> int:
        """The word."""
        if request.word is None:
            raise OptionsError("request: expected a word that stands for its record, found none; reserve one first")
        return request.word

    def draw(
        self, marker: Watermarker, requests: Sequence[Request], plans: Sequence[int], *, strength: Amount
    ) -> list[NDArray[np.uint8]]:
        """Marked pixels of each picture; pictures that come to one working size go through the networks together."""

        def of_frame(place: int, pixels: NDArray[np.uint8]) -> Marked:
            own = marker.marking_as(requests[place].label)
            return own.embed(pixels, bits_from_word(plans[place]), strength=strength)

        def of_stills(places: Sequence[int]) -> list[NDArray[np.uint8]]:
            drawn: dict[int, NDArray[np.uint8]] = {}
            for label in dict.fromkeys(requests[place].label for place in places):
                own = [place for place in places if requests[place].label == label]
                pixels = [requests[place].loaded.picture.pixels for place in own]
                bits = [bits_from_word(plans[place]) for place in own]
                marked = marker.marking_as(label).embed_each(pixels, bits, strength=strength)
                drawn.update(zip(own, marked, strict=True))
            return [drawn[place] for place in places]

        return draw_apart(requests, of_frame, of_stills)

    def earlier(self, reader: Watermarker, loaded: Loaded) -> list[Detection]:
        """Marks that lie over much of the input."""
        return [one for one in reader.glance(loaded.picture.pixels) if one.region.area > UNDER]

    def look(
        self, marker: Watermarker, reader: Watermarker, mark: Own, saved: Picture, *, over: bool
    ) -> list[Detection]:
        """Marks of a saved picture at the usual resolution, faint ones too; ``over`` earlier marks of the input."""
        return reader.glance(saved.pixels, max_log10_p=reader.model.description.faint)

    def finish(self, marker: Watermarker, request: Request, plan: int, pixels: NDArray[np.uint8]) -> MarkedFile:
        """Encodes and reads back. A mark that is not read surely is saved more finely, and made stronger where the
        model chose the strength; that is noted."""
        loaded, options = request.loaded, self.options
        mark = Own(plan, self.words.and_own(plan, label=request.label), request.label)
        reader = marker.knowing(tuple(dict.fromkeys((*self.words.labels, *([request.label] if request.label else ())))))
        tell("saving and reading back")
        label = label_for(loaded, options, request.record, name=mark.link, message=bits_from_word(plan))
        notes: tuple[str, ...] = ()
        quality, present = options.quality, marker.model.description.present
        content, saved, lost = encode(loaded, pixels, label=label, quality=quality)
        earlier = self.earlier(reader, loaded)
        look = partial(self.look, marker, reader, mark, over=bool(earlier))
        seen = look(saved)
        fine = finer(loaded, options)
        if fine is not None and not earlier and not mark.is_sure(seen, present):
            quality = fine
            content, saved, lost = encode(loaded, pixels, label=label, quality=quality)
            seen = look(saved)
        for amount in STRONGER if options.strength is None else ():
            if earlier or mark.is_sure(seen, present):
                break
            (pixels,) = self.draw(marker, [request], [plan], strength=amount)
            content, saved, lost = encode(loaded, pixels, label=label, quality=quality)
            seen = look(saved)
            reason = "stronger than usual, since it could not be read back otherwise"
            notes = (f"marked with strength {shown(amount)}, {reason}",)
        self_check(reader, saved, mark, loaded, seen=seen, earlier=earlier, quality=quality)
        return marked_file(
            loaded, content, saved,
            record=request.record, words=(plan,), link=mark.link, model=marker.name, options=options, lost=lost,
            notes=notes,
        )  # fmt: skip


def self_check(
    marker: Watermarker,
    saved: Picture,
    mark: Own,
    loaded: Loaded,
    *,
    seen: list[Detection],
    earlier: list[Detection],
    quality: int | None = None,
) -> None:
    """Raises ``SelfCheckError`` unless the mark comes back verified from the saved picture, undisturbed by a mark that
    the input carried before. ``seen`` there at a glance; ``earlier`` marks of the input; ``quality`` that it was
    saved with.
    """
    detections = seen
    own = next((one for one in detections if mark.reads(one)), None)
    if own is None:
        detections = marker.detect(saved.pixels, max_log10_p=marker.model.description.faint)
        own = next((one for one in detections if mark.reads(one)), None)
    # a mark of ours makes up for the bits of an earlier one by its balance: even bits say there was none of Meta's only
    if own is not None and (not earlier or (marker.model.description.signal is None and is_even(own))):
        return
    expected = bits_from_word(mark.word)
    wrong = min((sum(a != b for a, b in zip(d.bits, expected, strict=True)) for d in detections), default=None)
    found = "no watermark" if wrong is None else f"{wrong} of 32 bits wrong" if own is None else "unsure bits"
    remedy = "use a larger copy or one with more detail, or --strength strong; nothing was written"
    if is_coarse(loaded, quality):
        found += f", in a {loaded.format} saved coarsely"
        remedy = f"use --quality {FINE} or higher; nothing was written"
    if earlier:
        found += f", on an input that is marked already{_named(earlier[0], mark)}"
        found += ", with light and dark exchanged" if earlier[0].pose.negative else ""
        remedy = "use the unmarked original; nothing was written"
    error = SelfCheckError.about(
        loaded.picture.name, expected="the self-check to read the mark back", found=found, remedy=remedy
    )
    error.over_another = bool(earlier)
    raise error


@dataclass(frozen=True)
class Own:
    """What was marked: the ``word``, with the ``words`` in use under its ``label``, itself among them."""

    word: int
    words: Words
    label: Label | None = None

    @property
    def link(self) -> str:
        """Its short link."""
        return format_link(self.word, 0 if self.label is None else self.label.generation)

    def is_sure(self, detections: Sequence[Detection], present: float) -> bool:
        """Whether it would be reported by who does not know it, from log10 of a chance of ``present``."""
        return any(one.log10_p <= present and self.reads(one) for one in detections)

    def reads(self, detection: Detection) -> bool:
        """Whether a mark is that one."""
        if detection.foreign or detection.label != self.label:
            return False
        chance = None if self.label is None else detection.label_log10_p
        match = read_word(detection.logits, self.words, presence_log10_p=detection.log10_p, label_log10_p=chance)
        return match.status == "verified" and match.word == self.word


def is_even(detection: Detection) -> bool:
    """Whether even the bits that are least sure are not much less so than others, as in a mark that lies alone. Where
    two lie over one another, those in which they differ are unsure, and a little compression turns them over."""
    magnitudes = np.sort(np.abs(detection.logits))
    return bool(magnitudes[:DIFFERENT].mean() > EVEN * np.median(magnitudes))


def _named(detection: Detection, mark: Own) -> str:
    """The link of an earlier mark, in brackets, where it can be read."""
    if detection.foreign:
        return " (by another registry)"
    known = mark.words if detection.label == mark.label else None
    word = read_word(detection.logits, known, presence_log10_p=detection.log10_p).word
    generation = 0 if detection.label is None else detection.label.generation
    return "" if word is None else f" ({format_link(word, generation)})"
