"""``Studio``: the whole job from Python. A picture goes in and comes out as a marked file with a record in the
registry; a picture goes in and comes out as every mark in it, each with its record and its place."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from typing import Any, TypedDict, TypeVar, Unpack

from payload import PayloadError, Record, parse_time
from payload.registry import Registry
from payload.registry.database import locate
from payload.registry.entry import Entry
from payload.registry.places import listed
from payload.registry.reservations import Wanted
from wam.errors import OptionsError
from wam.models.catalogue import DEFAULT
from wam.models.effort import Effort
from wam.networks.precision import AUTO
from wam.networks.strength import Amount, either
from wam.pipeline.given import GivenPicture, content_of
from wam.pipeline.key_file import read_keys
from wam.pipeline.loaded import Loaded, load
from wam.pipeline.mark_copies import CopiesMarking
from wam.pipeline.mark_link import REUSED, LinkMarking
from wam.pipeline.mark_record import RecordMarking
from wam.pipeline.mark_signed import keep_manifest, signed
from wam.pipeline.marked import MarkedFile
from wam.pipeline.marking import Marking, Request, mark_one
from wam.pipeline.options import LabelChoice, MarkOptions, Mode, key_name
from wam.pipeline.read import Findings, read
from wam.pipeline.registered_words import RegisteredWords, label_of
from wam.pipeline.similar import check_count
from wam.provenance.credentials import Credentials
from wam.watermarker import Watermarker
from wam.watermarker import load as load_model

AHEAD = 2  # pictures for each worker that may be done before they are asked for

GivenRegistry = str | os.PathLike[str] | Registry

Given = TypeVar("Given")
Result = TypeVar("Result")


class CopyKeywords(TypedDict, total=False):
    """How copies are marked, as ``Studio.mark_for`` takes it."""

    label: LabelChoice
    quality: int | None
    strength: Amount
    psnr: float | None
    frames: bool
    format: str | None
    new_link: bool


class MarkKeywords(CopyKeywords, total=False):
    """How pictures are marked, as ``Studio.mark`` takes it."""

    mode: Mode
    encrypt: bool


class ReadKeywords(TypedDict, total=False):
    """How ``Studio.read`` and ``read_many`` read."""

    thorough: bool
    quick: bool
    seconds: float | None
    frames: bool
    similar: int


class Studio:
    """Marks and reads pictures with a registry, as the commands do; safe for threads.

    ``registry``: a URL, a file or an open ``Registry``; None is that of ``WAM_REGISTRY``, or else the user's own. It is
    made when the first link is needed. Several, as a list or in ``WAM_REGISTRY`` with ``|`` between, are asked in order
    when pictures are read; links are made in the first. ``key_file``: a secret; None is that of ``WAM_KEY``, if there
    is one. With a key marks are the key's own, and those of the public carrier are read too. ``model``, ``device`` and
    ``precision`` as in ``wam.load``. ``credentials``: sign a C2PA manifest into each marked file, kept in the registry
    too; it needs the package c2pa-python.

    In a service, one studio serves all requests. Under asyncio a thread does the work:

        done = await asyncio.to_thread(studio.mark, upload, asset="123", owner="acme")
        found = await asyncio.to_thread(studio.read, upload)

    Several threads on one CPU are quickest with one thread of torch each: ``torch.set_num_threads(1)`` at the start.
    """

    def __init__(
        self,
        registry: GivenRegistry | Sequence[GivenRegistry] | None = None,
        *,
        key_file: str | os.PathLike[str] | None = None,
        model: str | os.PathLike[str] = DEFAULT,
        device: str = "auto",
        precision: str = AUTO,
        credentials: Credentials | None = None,
    ) -> None:
        given = [registry] if isinstance(registry, str | os.PathLike | Registry) else list(registry or [])
        self._given: list[str | Registry | None] = [
            one if isinstance(one, Registry) else os.fspath(one) for one in given
        ] or [*listed()]
        for one in self._given:
            if not isinstance(one, Registry):
                locate(one)  # refuses what is no place at all, before the model is loaded
        self._opened_ones: dict[int, Registry] = {}  # by their places among those given
        self._words = RegisteredWords()
        self._lock = threading.Lock()
        self._credentials = credentials
        keys = (*read_keys(key_file), None)
        self.marker: Watermarker = load_model(os.fspath(model), device=device, keys=keys, precision=precision)

    def __repr__(self) -> str:
        names = [str(one or "default") for one in self._given]
        return f"Studio({self.marker.name}, registry={names[0] if len(names) == 1 else names})"

    def mark(
        self,
        picture: GivenPicture,
        *,
        asset: str,
        owner: str,
        user: str | None = None,
        time: str | datetime | None = None,
        mode: Mode = "link",
        label: LabelChoice = False,
        quality: int | None = None,
        strength: Amount = None,
        psnr: float | None = None,
        frames: bool = False,
        encrypt: bool = False,
        format: str | None = None,
        new_link: bool = False,
    ) -> MarkedFile:
        """A picture with a mark that stands for its record, read back before it is returned: ``content`` of the file,
        its ``link`` and a ``report``; ``save`` writes it.

        ``picture``: a path, a URL, a file's content, or a PIL image, whose content is PNG then. What the file says of
        itself is kept: alpha, depth, profile, EXIF. ``time``: RFC 3339 or a datetime with a time zone, None is now;
        ``mode`` "record" puts the whole record into the pixels and needs no registry; ``label`` says in the
        metadata that the picture was generated: presets by name ("eu", "cn,us-ca"), a ``Disclosure`` where they need
        values, or True for "cn"; ``quality`` of lossy formats, 1 to 100; ``strength`` gentle, normal or strong, or
        ``psnr`` in dB; ``frames``: all those of an animation; ``encrypt`` a record, with a key; ``format``: an
        extension, "webp" say, None is the picture's own.
        The same content for the same asset, owner and user (and time, where one is given) gets the link it had before,
        with the record it had, unless ``new_link``.

        Raises ``ImageError`` for what cannot be marked, ``PayloadError`` for what registry or record refuse, and
        ``ValueError`` for arguments. An id that was taken for a picture that could not be marked is discarded; where
        the program dies in between it stays pending, and no other picture gets it.
        """
        options = self._options(
            mode=mode, label=label, quality=quality, strength=strength, psnr=psnr, frames=frames, encrypt=encrypt
        )
        record = _record(asset, owner, user, time)
        content, name = content_of(picture)
        target = None if format is None else f"{name}.{format.removeprefix('.')}"
        loaded = load(content, name=name, target=target, frames=frames, keep=options.c2pa)
        if mode == "record":
            return mark_one(self.marker, signed(RecordMarking(options), self._credentials), Request(loaded, record))
        marking = signed(LinkMarking(options, self._words), self._credentials)
        return self._linked(marking, loaded, record, timed=time is not None, new_link=new_link)

    def mark_for(
        self,
        picture: GivenPicture,
        recipients: Iterable[str],
        *,
        asset: str,
        owner: str,
        time: str | datetime | None = None,
        workers: int = 1,
        **how: Unpack[CopyKeywords],
    ) -> Iterator[MarkedFile | Exception]:
        """A copy of one picture for each of the ``recipients``, who are the users of their records, in order as they
        are asked for; ``how`` as in ``mark``, by links only.

        The picture is read, decoded and prepared once, and each copy is read back before it is returned. In the place
        of one that could not be marked is the error that says why. ``workers`` as in ``mark_many``.
        """
        options = self._options(**how)
        content, name = content_of(picture)
        format, new_link = how.get("format"), how.get("new_link", False)
        target = None if format is None else f"{name}.{format.removeprefix('.')}"
        loaded = load(content, name=name, target=target, frames=options.frames, keep=options.c2pa)
        marking = signed(CopiesMarking(options, self._words), self._credentials)
        _record(asset, owner, None, time)  # what is wrong for all is said now

        def mark(recipient: str) -> MarkedFile:
            record = _record(asset, owner, recipient, time)
            return self._linked(marking, loaded, record, timed=time is not None, new_link=new_link)

        return _in_order(mark, recipients, workers)

    def _linked(self, marking: Marking, loaded: Loaded, record: Record, *, timed: bool, new_link: bool) -> MarkedFile:
        """A picture with the mark of a link, which the registry has when this returns."""
        registry = self._opened(create=True)
        assert registry is not None
        with _reserved(registry, Wanted(record, loaded.digest, timed=timed), new_link=new_link) as (entry, reused):
            request = Request(loaded, entry.record, entry.word, label_of(registry, entry))
            done = mark_one(self.marker, marking, request)
            registry.confirm(
                entry.word, generation=entry.generation, phash=done.report.phash, again=True,
                sketch=done.report.sketch, pdq=done.report.pdq,
            )  # fmt: skip
            keep_manifest(registry, done.report)
        if not reused:
            return done
        return replace(done, report=replace(done.report, notes=(*done.report.notes, REUSED)))

    def read(
        self,
        picture: GivenPicture,
        *,
        thorough: bool = False,
        quick: bool = False,
        seconds: float | None = None,
        frames: bool = False,
        similar: int = 0,
    ) -> Findings:
        """Every mark of a picture with its record, in ``marks``; none where there are none.

        ``thorough``: search on when a mark was found; ``quick``: look at the usual resolution only; ``seconds`` after
        which no further look begins: ``complete`` and ``reason`` say when that was so; ``frames``: all those of an
        animation; ``similar``: list so many registered pictures that look alike, in ``similar`` of the result, whether
        there are marks or not (extra ``[fingerprint]``). Raises ``ImageError`` for what is no picture, ``PayloadError``
        for a registry that was named and is not there, ``ValueError`` for an effort that makes no sense.
        """
        effort = Effort(thorough=thorough, quick=quick, seconds=seconds)
        check_count(similar)
        content, name = content_of(picture)
        self._opened(create=False)
        return read(self.marker, content, name=name, words=self._words, effort=effort, frames=frames, similar=similar)

    def mark_many(
        self,
        pictures: Iterable[tuple[GivenPicture, Record]],
        *,
        workers: int = 1,
        **how: Unpack[MarkKeywords],
    ) -> Iterator[MarkedFile | Exception]:
        """Pictures with a record each, marked in order as they are asked for; ``how`` as in ``mark``.

        In the place of one that could not be marked is the error that says why. ``workers``: threads; memory grows
        with them. Whoever stops asking stops the work.
        """
        self._options(**how)  # wrong ones are refused now, not once for each picture

        def mark(one: tuple[GivenPicture, Record]) -> MarkedFile:
            picture, record = one
            return self.mark(
                picture, asset=record.asset, owner=record.owner, user=record.user, time=record.ingested_at, **how
            )

        return _in_order(mark, pictures, workers)

    def read_many(
        self, pictures: Iterable[GivenPicture], *, workers: int = 1, **how: Unpack[ReadKeywords]
    ) -> Iterator[Findings | Exception]:
        """Pictures read in order as they are asked for; ``how`` as in ``read``, ``seconds`` for each; errors and
        ``workers`` as in ``mark_many``."""
        Effort(
            how.get("thorough", False), how.get("quick", False), how.get("seconds")
        )  # refused now, not once for each
        check_count(how.get("similar", 0))
        return _in_order(lambda one: self.read(one, **how), pictures, workers)

    def _options(self, **how: Unpack[MarkKeywords]) -> MarkOptions:
        """The same as the pipeline takes it; raises ``OptionsError``."""
        values: dict[str, Any] = {
            name: value for name, value in how.items() if name not in ("format", "psnr", "new_link")
        }
        try:
            values["strength"] = either(how.get("strength"), how.get("psnr"))
        except ValueError as error:
            raise OptionsError(str(error)) from error
        options = MarkOptions(**values, key=key_name(self.marker.keys[0]), c2pa=self._credentials is not None)
        if options.encrypt and options.key is None:
            raise OptionsError("encrypt: expected a key, found none; give a key file or set WAM_KEY")
        return options

    def _opened(self, *, create: bool) -> Registry | None:
        """The registry that links are made in, opened when it is first there; None for a default one that was never
        made. Those that are read beside it are opened when a picture is read."""
        with self._lock:
            before = len(self._opened_ones)
            for place, one in enumerate(self._given):
                if place in self._opened_ones or (create and place):
                    continue
                if isinstance(one, Registry):
                    found: Registry | None = one
                else:
                    found = Registry.open(one) if create else Registry.open_if_made(one)
                if found is not None:
                    self._opened_ones[place] = found
            if len(self._opened_ones) > before:
                self._words = RegisteredWords([one for _, one in sorted(self._opened_ones.items())])
            return self._opened_ones.get(0)


def _record(asset: str, owner: str, user: str | None, time: str | datetime | None) -> Record:
    if time is None:
        return Record(asset, owner, user)
    return Record(asset, owner, user, parse_time(time) if isinstance(time, str) else time)


@contextmanager
def _reserved(registry: Registry, wanted: Wanted, *, new_link: bool) -> Iterator[tuple[Entry, bool]]:
    """An id for a record, and whether it had it before; a new one is given up again if what is done with it fails."""
    (reserved,) = registry.reserve([wanted], new_link=new_link)
    try:
        yield reserved.entry, reserved.reused
    except BaseException:
        if reserved.entry.state == "pending":
            with suppress(PayloadError):  # where the registry does not answer it stays pending, which names no file
                registry.discard(reserved.entry.word, generation=reserved.entry.generation)
        raise


def _in_order(work: Callable[[Given], Result], given: Iterable[Given], workers: int) -> Iterator[Result | Exception]:
    """What ``work`` makes of each, or the error it raised, in order; some are done ahead, on ``workers`` threads."""
    if workers < 1:
        raise ValueError(f"workers: expected 1 or more, found {workers}; leave it out for one")

    def attempt(one: Given) -> Result | Exception:
        try:
            return work(one)
        except Exception as error:
            return error

    def results() -> Iterator[Result | Exception]:
        waiting: deque[Future[Result | Exception]] = deque()
        with ThreadPoolExecutor(workers, "wam-studio") as pool:
            try:
                for one in given:
                    waiting.append(pool.submit(attempt, one))
                    if len(waiting) > workers * AHEAD:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()

    return results()
