"""What a worker process does: it holds the model, reads and marks one picture after another, and is told nothing but
pictures and how they are to be treated. Links are reserved and confirmed by the service, which outlives it."""

from __future__ import annotations

import io
import signal
import traceback
import warnings
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import PurePosixPath
from typing import Any

from PIL import Image

from payload import PayloadError, Record, RecordTooLongError, hash_rgb, parse_time
from payload.registry import Registry
from payload.registry.pdq import pdq_text
from wam.errors import ImageError, WamError, is_out_of_memory, show_name
from wam.models.effort import Effort
from wam.pictures.files import read_image
from wam.pictures.formats import ANIMATED
from wam.pictures.overlay import overlay as draw_overlay
from wam.pictures.reader import check_header, is_still, open_content, undecodable
from wam.pictures.samples import Picture
from wam.pipeline.caption import caption
from wam.pipeline.contract import DetectObject, detect_object, embed_object
from wam.pipeline.error_line import error_line
from wam.pipeline.loaded import Loaded, load
from wam.pipeline.mark_link import REUSED, mark_link
from wam.pipeline.mark_record import mark_record
from wam.pipeline.mark_signed import state_of, to_be_signed
from wam.pipeline.marked import MarkedFile
from wam.pipeline.options import MarkOptions
from wam.pipeline.read import AnyReading, Examined, ReadSteps, judge, may_lead, names_of
from wam.pipeline.registered_words import RegisteredWords
from wam.provenance.fingerprint import fingerprint
from wam.provenance.manifest_definition import Declared
from wam.service.messages import receive, send
from wam.service.roles import View
from wam.service.setup import Setup
from wam.service.views import served
from wam.signal.label import Label

OVERLAY_SIDE = 2048  # pixels of an overlay's longer side
OVERLAY_QUALITY = 90


Answer = tuple[dict[str, Any], list[bytes]]
LONG: Answer = ({"state": "long"}, [])  # for another worker, which has more time
TOGETHER = 16_000_000  # pixels of pictures that are looked at together, at most


class _TooLargeError(ImageError):
    """A picture of more pixels or frames than are allowed."""


def work(connection: Connection, setup: Setup) -> None:
    """Runs until the other side closes the connection."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the service's, which closes the connection
    warnings.simplefilter("ignore")
    try:
        desk = Desk(setup)
    except (WamError, PayloadError, OSError, RuntimeError) as error:
        send(connection, {"state": "unready", "line": show_name(str(error))})
        return
    send(connection, {"state": "ready", "model": desk.marker.name})
    while True:
        try:
            task = receive(connection)
        except (EOFError, OSError):
            return
        if task.said["do"] == "batch":
            answer, contents = _together(desk.do_many(task.said["tasks"], task.contents))
        else:
            answer, contents = desk.do(task.said, task.contents)
        try:
            send(connection, answer, contents)
        except OSError:
            return


class Desk:
    """The model with what belongs to it."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.marker = setup.load()
        self.words = RegisteredWords(Registry.open(setup.registry, create=False))

    def do(self, task: dict[str, Any], contents: tuple[bytes, ...]) -> Answer:
        """One task; whatever goes wrong is an answer too."""
        name = str(task["name"])
        try:
            if task["do"] == "detect":
                return self._detect(task, name, contents[0])
            return self._embed(task, name, contents[0])
        except Exception as error:
            return self._problem(name, error), []

    def do_many(self, tasks: Sequence[dict[str, Any]], contents: Sequence[bytes]) -> list[Answer]:
        """As ``do`` of each of several pictures that are to be read with the same effort, frames left out; looked at
        together. What cannot be done so is done alone."""
        answers: dict[int, Answer] = {}
        opened: dict[int, Picture] = {}
        for place, (task, content) in enumerate(zip(tasks, contents, strict=True)):
            name = str(task["name"])
            try:
                answer = self._handed_on(task, name, content)
                if answer is not None:
                    answers[place] = answer
                else:
                    opened[place] = self._steps(task).open(content, name=name)[0]
            except Exception as error:
                answers[place] = self._problem(name, error), []
        for group in _groups({place: one.width * one.height for place, one in opened.items()}):
            pictures = [opened.pop(place) for place in group]
            for place, picture, examined in zip(group, pictures, self._examined(tasks[0], pictures), strict=True):
                if examined is None:
                    answers[place] = self.do(tasks[place], (contents[place],))
                else:
                    answers[place] = self._read(tasks[place], (picture,), examined)
        return [answers[place] for place in range(len(tasks))]

    def _examined(self, task: dict[str, Any], pictures: Sequence[Picture]) -> list[Examined | None]:
        """What pictures show; None for those that have to be looked at alone: the time was over for all, or one of them
        cannot be looked at."""
        try:
            every = self._steps(task).examine_many(pictures)
        except Exception:
            return [None] * len(pictures)
        return [None if any(search.cut_short for search in one.searches) else one for one in every]

    def _read(self, task: dict[str, Any], pictures: Sequence[Picture], examined: Examined) -> Answer:
        """What is said of a picture; whatever goes wrong is an answer too."""
        name = str(task["name"])
        try:
            findings = judge(examined, self.words)
            candidates = bool(task.get("candidates"))
            said = detect_object(findings, image=show_name(name), model=self.marker.name, candidates=candidates)
            drawn: list[bytes] = []
            if task["overlay"] and findings.readings:
                drawn = [
                    _overlay(pictures[0], findings.readings, said, View(task["overlay"])),
                    *map(_mask, findings.readings),
                ]
            answer: dict[str, Any] = {"state": "done", "detect": said}
            if task.get("names"):  # what leads to manifests: marks by name, and the picture's hashes
                surest = sorted(filter(may_lead, findings.readings), key=lambda one: one.log10_p)
                named = [one for mark in surest for one in names_of(mark)]
                answer["names"] = [[one.word, one.generation, one.labelled] for one in named]
                answer["pdq"] = pdq_text(fingerprint(pictures[0].pixels))
                answer["phash"] = f"{hash_rgb(pictures[0].pixels):x}"
            return answer, drawn
        except Exception as error:
            return self._problem(name, error), []

    def _steps(self, task: dict[str, Any]) -> ReadSteps:
        most = task.get("most_seconds")
        seconds = task["seconds"] if most is None else min(task["seconds"], most)
        effort = Effort(thorough=task["thorough"], quick=task["quick"], seconds=seconds)
        frames, similar = bool(task["frames"]), int(task.get("similar", 0))
        return ReadSteps(self.marker, effort=effort, frames=frames, labels=self.words.labels, similar=similar)

    def _handed_on(self, task: dict[str, Any], name: str, content: bytes) -> Answer | None:
        """The answer for a picture that has too many pixels for this worker; raises ``ImageError`` for one that has too
        many for all."""
        most, pixels = task.get("most_pixels"), self._check(content, name, frames=bool(task["frames"]))
        return LONG if most is not None and pixels is not None and pixels > most else None

    def _problem(self, name: str, error: Exception) -> dict[str, Any]:
        if isinstance(error, ImageError | RecordTooLongError) or is_out_of_memory(error):
            large = isinstance(error, _TooLargeError)
            return {"state": "refused", "line": error_line(name, error), "large": large}
        if isinstance(error, PayloadError):
            return {"state": "registry"}
        if isinstance(error, ValueError | WamError):
            return {"state": "senseless", "line": show_name(str(error))}
        where = traceback.extract_tb(error.__traceback__)[-1]
        # no message: it may hold what is in the picture or its record
        return {"state": "fault", "where": f"{type(error).__name__} at {where.filename}:{where.lineno}"}

    def _detect(self, task: dict[str, Any], name: str, content: bytes) -> Answer:
        answer = self._handed_on(task, name, content)
        if answer is not None:
            return answer
        steps = self._steps(task)
        pictures = steps.open(content, name=name)
        examined = steps.examine(pictures)
        is_over = any(search.cut_short for search in examined.searches)
        if is_over and (steps.effort.seconds or 0) < task["seconds"]:
            return LONG
        return self._read(task, pictures, examined)

    def _embed(self, task: dict[str, Any], name: str, content: bytes) -> Answer:
        options = MarkOptions(**task["options"])
        fields = task["record"]
        record = Record(fields["asset"], fields["owner"], fields["user"], parse_time(fields["ingested_at"]))
        self._check(content, name, frames=options.frames)
        sign = task.get("sign")
        loaded = load(content, name=name, target=task["target"], frames=options.frames, keep=sign is not None)
        if sign is not None:
            loaded = to_be_signed(self.marker, loaded)
        label = Label(*task["label"]) if task.get("label") else None
        if options.mode == "record":
            done = mark_record(self.marker, loaded, record=record, options=options)
        else:
            done = mark_link(
                self.marker, loaded, record=record, word=task["word"], label=label, words=self.words, options=options
            )
        written = f"{PurePosixPath(name).stem}.wm{_suffix(done.content)}"  # as the command names it
        notes = (REUSED,) if task.get("reused") else ()
        said = embed_object(done.report, image=show_name(name), output=written, notes=notes)
        report = done.report
        kept: dict[str, Any] = {"phash": f"{report.phash:016x}", "sketch": report.sketch, "pdq": pdq_text(report.pdq)}
        if sign is not None:
            kept |= self._to_sign(done, loaded, options, Declared(**sign), label)
        return {"state": "done", "embed": said, **kept}, [done.content]

    def _to_sign(
        self, done: MarkedFile, loaded: Loaded, options: MarkOptions, declared: Declared, label: Label | None
    ) -> dict[str, Any]:
        """What the service needs for signing, which is not done here."""
        algorithm = str(self.marker.model.description.signal)
        statement, source = state_of(done, loaded, options, declared, algorithm=algorithm, label=label)
        pdq = done.report.pdq or fingerprint(read_image(done.content).pixels)  # a record's is taken for its manifest
        return {
            "statement": statement.to_json(),
            "source": None if source is None else {"mime": source.mime, "title": source.title},
            "pdq": pdq_text(pdq),
        }

    def _check(self, content: bytes, name: str, *, frames: bool) -> int | None:
        """How many pixels a file says it has, in all its frames; None where its header cannot be read, which the reader
        explains better. Raises ``ImageError`` for more than are allowed, before any is decoded."""
        try:
            image = open_content(content)
        except Image.DecompressionBombError as error:
            line = undecodable(content, name, error, max_pixels=self.setup.max_pixels)
            raise _TooLargeError(str(line)) from error
        except Exception:
            return None
        with image:
            if image.width * image.height > self.setup.max_pixels:
                raise _TooLargeError.about(
                    name,
                    expected=f"at most {self.setup.max_pixels:,} pixels",
                    found=f"{image.width}x{image.height}",
                    remedy="use a smaller copy",
                )
            check_header(image, name, frames=frames, max_pixels=self.setup.max_pixels)
            if not frames or is_still(image) or image.format not in ANIMATED:
                return image.width * image.height
            count = int(getattr(image, "n_frames", 1))
            pixels = image.width * image.height * count
            if count > self.setup.max_frames or pixels > self.setup.max_pixels:
                raise _TooLargeError.about(
                    name,
                    expected=f"at most {self.setup.max_frames} frames with {self.setup.max_pixels:,} pixels in all",
                    found=f"{count} frames of {image.width}x{image.height}",
                    remedy="use a shorter or smaller copy",
                )
            return pixels


def _together(answers: Sequence[Answer]) -> Answer:
    """Several answers as one message."""
    said = {"state": "batch", "answers": [one for one, _ in answers], "counts": [len(more) for _, more in answers]}
    return said, [content for _, more in answers for content in more]


def _groups(pixels: dict[int, int]) -> list[list[int]]:
    """Places of pictures that are looked at together, by how many pixels each has."""
    groups: list[list[int]] = []
    room = 0
    for place, count in pixels.items():
        if count > room or not groups:
            groups.append([])
            room = TOGETHER
        groups[-1].append(place)
        room -= count
    return groups


def _suffix(content: bytes) -> str:
    """The extension of a file that was just written."""
    with Image.open(io.BytesIO(content)) as image:
        format = str(image.format)
    return {"JPEG": ".jpg", "MPO": ".jpg", "HEIF": ".heic", "TIFF": ".tif"}.get(format, f".{format.lower()}")


def _overlay(picture: Picture, readings: tuple[AnyReading, ...], said: DetectObject, view: View) -> bytes:
    """The picture with its marks outlined, in JPEG; captions as far as the view allows."""
    captions = [caption(mark) for mark in served(said, view)["watermarks"]]
    drawn = draw_overlay(picture.pixels, [one.region for one in readings], captions)
    drawn.thumbnail((OVERLAY_SIDE, OVERLAY_SIDE))
    stream = io.BytesIO()
    drawn.save(stream, "JPEG", quality=OVERLAY_QUALITY)
    return stream.getvalue()


def _mask(reading: AnyReading) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(reading.mask.astype("uint8") * 255).save(stream, "PNG")
    return stream.getvalue()
