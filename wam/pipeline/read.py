"""Reading one picture: find its marks, then judge their words by the registry.

``examine`` knows nothing of the registry, so that any process on any machine may do it; ``judge`` asks it; ``read``
does both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from payload import hash_rgb, hashes_before_cut
from payload.phash import LEAST_DETAIL, before_cut, detail
from wam.models.effort import USUAL, Effort
from wam.models.protocol import SearchSummary
from wam.pictures.animation import decode_animation
from wam.pictures.files import require_size
from wam.pictures.reader import decode, read_what_is_there
from wam.pictures.samples import Picture
from wam.pipeline.binding import Part, part_of
from wam.pipeline.frames import merge, to_read
from wam.pipeline.kept_manifests import naming
from wam.pipeline.look_up import Candidate as Candidate
from wam.pipeline.look_up import Reading as Reading
from wam.pipeline.look_up import Seen, look_up
from wam.pipeline.marked import record_name
from wam.pipeline.record_marks import FoundRecord, find_records
from wam.pipeline.registered_words import RegisteredWords
from wam.pipeline.similar import Similar, Wanted, similar_to, wanted
from wam.pipeline.statements import contradictions, says_taken
from wam.pipeline.transplant import UNKNOWN, Hashes, is_whole
from wam.provenance.aigc_label import Label as MetadataLabel
from wam.provenance.aigc_label import label_agrees, read_label
from wam.provenance.fingerprint import fingerprint, fingerprints_of
from wam.provenance.manifest_state import ABSENT, ManifestState, may_hold_manifest, read_manifest, read_store
from wam.provenance.soft_value import EXACT, MarkName
from wam.region import reading_order
from wam.signal.label import Label
from wam.signal.mark_grid import SMALLEST_SIDE
from wam.watermarker import Detection, Watermarker

CUT_SHORT = "the file is cut short: what is there was searched"
TIME_OVER = "the time was over: what was looked at until then is given"
QUICK = "a quick look: at the usual resolution only"


AnyReading = Reading | FoundRecord


@dataclass(frozen=True)
class Examined:
    """What a file shows without a registry: its size in pixels, the records in it, the marks that belong to none, faint
    ones too, its 64-bit hash, the label in its metadata, what the search of each frame did, where the model says so,
    ``hashes`` of the picture, as it is and may have been before it was cut, where a mark lies over all of it, the
    ``reason`` why not all of it was searched, what its manifest says, of each of ``detections`` the part of the picture
    that it lies on, brought back to how it was marked, what is ``asked`` of pictures that look alike, None for nothing,
    and of each key that was read with whether it is ``secret``."""

    width: int
    height: int
    detections: tuple[Detection, ...]
    phash: int | None
    present: float
    label: MetadataLabel | None = None
    records: tuple[FoundRecord, ...] = ()
    searches: tuple[SearchSummary, ...] = ()
    hashes: Hashes = UNKNOWN
    reason: str | None = None
    credentials: ManifestState = ABSENT
    parts: tuple[Part | None, ...] = ()
    asked: Wanted | None = None
    secret: tuple[bool, ...] = ()

    def seen(self, detection: Detection, part: Part | None) -> Seen:
        """What there is to judge one of its marks by."""
        keyed = detection.key < len(self.secret) and self.secret[detection.key]
        return Seen(part, self.hashes, keyed)


@dataclass(frozen=True)
class Findings:
    """What a file says: its size in pixels, the marks in it as people read a page, the ``label`` in its metadata, what
    the ``searches`` of its frames did, where the model says so, and the ``reason`` why not all of it was searched, None
    where it was; how many ``registries`` were asked; what the C2PA manifest says, in ``credentials``; the registered
    pictures that look alike, in ``similar``, None where that was not asked for; what manifests ``kept`` of its marks
    say, which ``judge`` looks up for a file whose own manifest says that it was not generated."""

    width: int
    height: int
    readings: tuple[AnyReading, ...]
    label: MetadataLabel | None = None
    searches: tuple[SearchSummary, ...] = ()
    reason: str | None = None
    registries: int = 0
    credentials: ManifestState = ABSENT
    similar: Similar | None = None
    kept: tuple[ManifestState, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether all of the file was searched as asked."""
        return self.reason is None

    @property
    def marks(self) -> tuple[AnyReading, ...]:
        """The marks, as the page for Python calls them: ``readings``."""
        return self.readings

    @property
    def label_agrees(self) -> bool | None:
        """Whether a watermark says what the label says; None where nothing can be compared."""
        if self.label is None:
            return None
        return label_agrees(self.label, [_stated(reading) for reading in self.readings])

    @property
    def credentials_agree(self) -> bool | None:
        """Whether a watermark is one that the manifest names; None where it names none of this toolkit, or does not
        hold."""
        if not self.credentials.holds or not self.credentials.own_values:
            return None
        return any(name.match(value) for value in self.credentials.own_values for name in self.names)

    @property
    def contradictions(self) -> tuple[str, ...]:
        """What manifest, label and the manifests kept of its marks say against each other, each in one line."""
        return tuple(contradictions(self.credentials, self.label, self.kept))

    @property
    def names(self) -> tuple[MarkName, ...]:
        """All marks, as soft bindings name them."""
        return tuple(name for reading in self.readings for name in names_of(reading))


def read(
    marker: Watermarker,
    content: bytes,
    *,
    name: str = "picture",
    words: RegisteredWords | None = None,
    effort: Effort = USUAL,
    frames: bool = False,
    similar: int = 0,
) -> Findings:
    """Every mark of one file with its record; raises ``ImageError`` for content that is no picture to be searched.

    ``name``: what errors call it. ``words``: those in use in a registry, to be kept from one picture to the next; None:
    no record is known. ``effort``, ``similar`` and ``frames`` as in ``examine`` and ``open_pictures``.
    """
    words = words or RegisteredWords()
    steps = ReadSteps(marker, effort=effort, frames=frames, labels=words.labels, similar=similar)
    return judge(steps.examine(steps.open(content, name=name)), words)


@dataclass(frozen=True)
class ReadSteps:
    """How every caller reads a file: ``open`` its pictures, ``examine`` them, then ``judge`` what was found.

    ``labels``: those in use in the registries, under which marks are looked for. ``read`` does it in one go; engines
    wait between the steps, or judge, which alone needs the registry, elsewhere.
    """

    marker: Watermarker
    effort: Effort = USUAL
    frames: bool = False
    labels: tuple[Label, ...] = ()
    similar: int = 0

    def open(self, content: bytes, *, name: str = "picture") -> tuple[Picture, ...]:
        """See ``open_pictures``."""
        return open_pictures(content, name=name, frames=self.frames)

    def examine(self, pictures: Sequence[Picture]) -> Examined:
        """See ``examine``."""
        return examine(self.marker.knowing(self.labels), *pictures, effort=self.effort, similar=self.similar)

    def examine_many(self, pictures: Sequence[Picture]) -> list[Examined]:
        """As ``examine`` of each, one to a file; a model that can looks at views of one size together. The time of the
        effort is for all."""
        marker = self.marker.knowing(self.labels)
        for picture in pictures:
            require_size(picture, SMALLEST_SIDE)
        faint = marker.model.description.faint
        every = marker.detect_and_explain_many([one.pixels for one in pictures], effort=self.effort, max_log10_p=faint)
        return [
            _examined(marker, picture, [found], effort=self.effort, similar=self.similar)
            for picture, found in zip(pictures, every, strict=True)
        ]


def open_pictures(content: bytes, *, name: str = "picture", frames: bool = False) -> tuple[Picture, ...]:
    """The picture of a file; with ``frames`` all those of an animation, the telling one first. Of a file that is cut
    short as much as there is."""

    def open_all(content: bytes) -> tuple[Picture, ...]:
        return to_read(decode_animation(content, name=name)) if frames else (decode(content, name=name),)

    pictures, cut_short = read_what_is_there(content, open_all)
    if may_hold_manifest(content):
        pictures = (replace(pictures[0], signed=content), *pictures[1:])
    return tuple(replace(picture, cut_short=True) for picture in pictures) if cut_short else pictures


def examine(
    marker: Watermarker, picture: Picture, *more: Picture, effort: Effort = USUAL, similar: int = 0
) -> Examined:
    """Every mark of one picture, however faint; raises ``ImageError`` for one that is too small to be looked at.

    ``more``: further frames of an animation, whose marks are gathered. ``effort``: how much is looked for, in each;
    ``similar``: how many registered pictures that look alike are to be listed.
    """
    require_size(picture, SMALLEST_SIDE)
    bounds = marker.model.description
    frames = [
        marker.detect_and_explain(one.pixels, effort=effort, max_log10_p=bounds.faint) for one in (picture, *more)
    ]
    return _examined(marker, picture, frames, effort=effort, similar=similar)


def _examined(
    marker: Watermarker,
    picture: Picture,
    frames: Sequence[tuple[Sequence[Detection], SearchSummary | None]],
    *,
    effort: Effort,
    similar: int,
) -> Examined:
    """What the search has found in each frame of a picture, and all else that it shows."""
    bounds, more = marker.model.description, len(frames) > 1
    detections = merge(found for found, _ in frames) if more else frames[0][0]
    searches = tuple(search for _, search in frames if search is not None)
    phash = hash_rgb(picture.pixels) if detections else None
    label = read_label(picture.metadata, picture.settings.segments)
    plain = [one for one in detections if one.label is None and not one.foreign]  # marks of records have no label
    records, others = find_records(plain, keys=marker.keys, phash=phash)
    others += [one for one in detections if one.label is not None or one.foreign]
    hashes = _hashes(picture.pixels, phash) if any(is_whole(one) for one in others) else UNKNOWN
    return Examined(
        picture.width, picture.height, tuple(others), phash, bounds.present, label, tuple(records), searches, hashes,
        _why_incomplete(picture, effort, searches),
        ABSENT if picture.signed is None else read_manifest(picture.signed, picture.format),
        tuple(part_of(picture.pixels, one) for one in others) if not more else (),
        wanted(picture.pixels, similar),
        tuple(key is not None for key in marker.keys),
    )  # fmt: skip


def _hashes(pixels: NDArray[np.uint8], phash: int | None) -> Hashes:
    """What a marked picture is compared by as a whole."""
    own = fingerprint(pixels)
    pdqs = () if own is None else (own, *fingerprints_of(before_cut(pixels)))
    phashes = (() if phash is None else (phash,)) + hashes_before_cut(pixels)
    return Hashes(phashes, pdqs, plain=detail(pixels) < LEAST_DETAIL)


def _why_incomplete(picture: Picture, effort: Effort, searches: Sequence[SearchSummary]) -> str | None:
    """Why not all of a file was searched; None where it was."""
    reasons = [CUT_SHORT] if picture.cut_short else []
    if any(search.cut_short for search in searches):
        reasons.append(TIME_OVER)
    elif effort.quick and searches:
        reasons.append(QUICK)
    return "; ".join(reasons) or None


def judge(examined: Examined, words: RegisteredWords) -> Findings:
    """The marks with their records; ``words`` and their registry are asked only where there are marks.

    What looks like the remains of a record is a link after all where its word is registered.
    """
    found: list[AnyReading] = []
    detections = list(examined.detections)
    parts = [*examined.parts, *(None for _ in detections[len(examined.parts) :])]
    for record in examined.records:
        links = [] if record.record else [look_up(one, examined.seen(one, None), words) for one in record.detections]
        if any(link.status == "verified" for link in links):
            detections += record.detections
            parts += [None for _ in record.detections]
        else:
            found.append(record)
    readings = [look_up(one, examined.seen(one, part), words) for one, part in zip(detections, parts, strict=True)]
    # a faint mark counts if its word is registered, named or not, which the match has weighed; others have to be clear
    found += [
        one
        for one in readings
        if one.status == "verified" or one.candidates or one.detection.log10_p <= examined.present
    ]
    ordered = tuple(found[place] for place in reading_order([one.region for one in found]))
    return Findings(
        examined.width, examined.height, ordered, examined.label, examined.searches, examined.reason,
        len(words.registries), examined.credentials,
        None if examined.asked is None else similar_to(examined.asked, words),
        tuple(_kept(ordered, words)) if says_taken(examined.credentials) else (),
    )  # fmt: skip


def _kept(readings: Sequence[AnyReading], words: RegisteredWords) -> Iterator[ManifestState]:
    """What the manifests say that the registries keep of the marks, and that name all of one."""
    for reading in filter(may_lead, readings):
        for registry in words.registries:
            found = naming(registry, names_of(reading))
            yield from (read_store(one.manifest.store) for one in found if one.similarity == EXACT)


def words_of(reading: AnyReading) -> tuple[int, ...]:
    """The words of one mark, or of all marks of a record, as far as they were read."""
    if isinstance(reading, FoundRecord):
        return tuple(reading.reading.words)
    return () if reading.match.word is None else (reading.match.word,)


def may_lead(reading: AnyReading) -> bool:
    """Whether a mark leads to what is kept under its word: not where that could as well be a stranger's."""
    return isinstance(reading, FoundRecord) or not reading.candidates


def names_of(reading: AnyReading) -> tuple[MarkName, ...]:
    """The same as soft bindings name them."""
    if isinstance(reading, FoundRecord):
        return tuple(map(MarkName, reading.reading.words))
    label, labelled = reading.detection.label, reading.detection.label is not None or reading.detection.foreign
    generation = None if label is None else label.generation
    return tuple(MarkName(word, generation, labelled) for word in words_of(reading))


def _stated(reading: AnyReading) -> tuple[str | None, str | None, str | None]:
    """What a label on a watermark would say: name, message and owner, as far as they are known."""
    if reading.record is None:
        return reading.link, reading.message, None
    return reading.link or record_name(reading.record), reading.message, reading.record.owner
