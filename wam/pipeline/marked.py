"""A marked file in memory: its content, and a report of what was put in and what became of the picture."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from PIL import Image

from payload import Record, bits_from_word, format_time, hash_rgb
from wam.errors import ImageError, show_name
from wam.pictures.containers.parts import irreplaceable
from wam.pictures.files import write_bytes
from wam.pictures.formats import SUFFIXES
from wam.pictures.quality import psnr, ssim
from wam.pictures.samples import Picture
from wam.pictures.writer import MOST_GROWTH
from wam.pipeline.binding import sketch_of
from wam.pipeline.loaded import Loaded
from wam.pipeline.options import MarkOptions, Mode
from wam.provenance.aigc_label import Label, mark_label, read_label
from wam.provenance.disclosure import Disclosure
from wam.provenance.fingerprint import fingerprint
from wam.provenance.iptc_fields import AI_FIELDS
from wam.provenance.source_types import kinds


class SelfCheckError(ImageError):
    """The encoded file does not read back as what was marked; ``over_another``: its input was marked already."""

    over_another = False


@dataclass(frozen=True)
class RecordMarks:
    """Of a record in the pixels: marks that the self-check ``read`` again, and how many of them are ``needed``."""

    read: int
    needed: int


@dataclass(frozen=True)
class KeptManifest:
    """A manifest that was signed into a file: its ``id``, its ``store`` for whoever keeps it, and the ``algorithm`` and
    ``values`` of the marks that it names; ``pdq``: the picture's fingerprint, where it was taken."""

    id: str
    store: bytes = field(repr=False)
    algorithm: str
    values: tuple[bytes, ...]
    pdq: int | None = None


@dataclass(frozen=True)
class MarkReport:
    """What a marked file carries and how it differs from its input.

    ``words`` the 32-bit words that were marked, one in link mode; ``model`` as NAME@HASH8; size in pixels; ``sha256``
    of the content in hex digits; ``phash`` 64 bits, of the saved picture; ``psnr_db`` and ``ssim`` of the saved picture
    against the input; ``lost`` names what the file could not carry over; ``notes`` what a person should know;
    ``frames`` of an animation; ``labelled`` with metadata that says the same; ``marks`` in record mode only; in link
    mode only the short ``link``, and for the registry the ``sketch`` of the saved picture and its fingerprint
    (``pdq``), where that can be taken; ``manifest`` where one was signed.
    """

    mode: Mode
    record: Record
    words: tuple[int, ...]
    model: str
    width: int
    height: int
    sha256: str
    phash: int
    psnr_db: float
    ssim: float
    lost: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    frames: int = 1
    labelled: bool = False
    marks: RecordMarks | None = None
    link: str | None = None
    manifest: KeptManifest | None = None
    sketch: str | None = None
    pdq: int | None = None

    @property
    def messages(self) -> list[str]:
        """The words as 32 characters each."""
        return [bits_from_word(word) for word in self.words]


@dataclass(frozen=True, eq=False)
class MarkedFile:
    """``content`` of the file, read back and found right; ``report`` on it, and its ``link``."""

    content: bytes = field(repr=False)  # too long for a line
    report: MarkReport

    @property
    def link(self) -> str | None:
        """The short link; None in record mode."""
        return self.report.link

    @property
    def image(self) -> Image.Image:
        """The marked picture for Pillow, in the file's own mode: RGBA stays RGBA."""
        image = Image.open(io.BytesIO(self.content))
        image.load()
        return image

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the content whole or not at all; raises ``ImageError``. The name does not change the format."""
        write_bytes(path, self.content)


def label_for(loaded: Loaded, options: MarkOptions, record: Record, *, name: str, message: str) -> Label | None:
    """The label for the file's metadata, None where none is wanted: ``name`` of what the mark stands for, and
    ``message`` 32 characters of the mark itself."""
    wanted = options.disclosure
    if wanted is None:
        return None
    known = known_label(loaded)
    if known is not None and known.says_taken and wanted.source_type is None and wanted != Disclosure():
        raise ImageError.about(
            loaded.picture.name,
            expected="a picture that may be labelled as generated",
            found=f"one that says of itself: {', '.join(sorted(kinds([known.source_type])))}",
            remedy="state what it is now with --source-type, or leave out --label",
        )
    return mark_label(
        known, owner=record.owner, link=name, message=message, disclosure=wanted,
        created=format_time(record.ingested_at), digest=loaded.digest or "",
    )  # fmt: skip


def known_label(loaded: Loaded) -> Label | None:
    """The label that the source has."""
    return read_label(loaded.picture.metadata, loaded.picture.settings.segments)


def _replaced(loaded: Loaded, options: MarkOptions) -> Iterator[str]:
    """Says which statements of the source the label's own values took the place of."""
    known, wanted = known_label(loaded) if options.label else None, options.disclosure
    for name in ("source_type", *AI_FIELDS):
        before, after = getattr(known, name, ""), getattr(wanted, name, None)
        if before and after and before != after:
            yield f"the source's {name.replace('_', ' ')} was replaced: {show_name(before)[:80]}"


def record_name(record: Record) -> str:
    """What a label calls a mark that is a whole record, which has no link.

    >>> record_name(Record("123", "acme"))
    'wm:record:123'
    """
    return f"wm:record:{record.asset}"


def marked_file(
    loaded: Loaded,
    content: bytes,
    saved: Picture,
    *,
    record: Record,
    words: tuple[int, ...],
    model: str,
    options: MarkOptions,
    lost: tuple[str, ...],
    notes: tuple[str, ...] = (),
    marks: RecordMarks | None = None,
    link: str | None = None,
) -> MarkedFile:
    """The file with its report; ``saved``: the picture that a reader of ``content`` gets."""
    before = loaded.picture
    lost = tuple(name for name in lost if name not in loaded.carried)
    refuse_loss(loaded, options, lost)
    kept = options.mode == "link"  # a registry keeps what it looks like
    report = MarkReport(
        mode=options.mode,
        record=record,
        words=words,
        model=model,
        width=before.width,
        height=before.height,
        sha256=hashlib.sha256(content).hexdigest(),
        phash=hash_rgb(saved.pixels),
        psnr_db=psnr(before.pixels, saved.pixels),
        ssim=ssim(before.pixels, saved.pixels),
        lost=lost,
        notes=(*_notes(loaded), *_growth(before, saved, loaded, options), *_replaced(loaded, options), *notes),
        frames=1 if loaded.animation is None else len(loaded.animation.pictures),
        labelled=bool(options.label) and "label" not in lost,
        marks=marks,
        link=link,
        sketch=sketch_of(saved.pixels) if kept else None,
        pdq=fingerprint(saved.pixels) if kept else None,
    )
    return MarkedFile(content, report)


def refuse_loss(loaded: Loaded, options: MarkOptions, lost: tuple[str, ...]) -> None:
    """Raises ``ImageError`` where the output must keep what no other copy can give back and does not."""
    gone = irreplaceable(lost) if options.keep else ()
    if gone:
        raise ImageError.about(
            loaded.target,
            expected="to keep all that its input holds, which it replaces",
            found=f"no way to keep: {', '.join(gone)}",
            remedy="write another file (-o or --out-dir), or add --drop",
        )


def _growth(before: Picture, saved: Picture, loaded: Loaded, options: MarkOptions) -> Iterator[str]:
    """Says how much larger than its source's a lossy file's pixels are, where that is much."""
    old, new = before.settings, saved.settings
    if before.format == loaded.format and options.quality is None and old.source_quality is not None:
        factor = new.coded_bytes / max(1, old.coded_bytes)
        if factor > MOST_GROWTH:
            yield f"pixels take {factor:.1f} times the source's bytes, which the mark needs"


def _notes(loaded: Loaded) -> Iterator[str]:
    """What a person should know of a file that was marked all the same."""
    named = SUFFIXES.get(PurePosixPath(loaded.picture.name).suffix.lower())
    if named is not None and named != loaded.picture.format:
        yield f"named as {named}, holds {loaded.picture.format}, written as {loaded.format}"
