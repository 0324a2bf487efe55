"""Marking: a picture and its record go in, the marked file comes out."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import PurePosixPath
from typing import Any, cast
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import JSONResponse, Response
from starlette.datastructures import UploadFile

from payload import Record, parse_time
from payload.errors import RegistryError
from payload.records.record import now
from payload.registry import Registry
from payload.registry.reservations import Reserved, Wanted
from wam.errors import WamError, show_name
from wam.networks.strength import either
from wam.pictures.storage import digest_of
from wam.pipeline.contract import EmbedObject, failed_object
from wam.pipeline.options import MarkOptions
from wam.pipeline.registered_words import label_of
from wam.provenance.disclosure import VALUES, from_form
from wam.provenance.manifest_definition import Declared
from wam.provenance.source_types import source_type_of
from wam.service.batches import Job, checked_outputs
from wam.service.bodies import UPLOAD, form_of, media_type, number_of, picture_of, switch_of, wrong_type
from wam.service.gate import Caller
from wam.service.house import FAULT, House, caller_of
from wam.service.messages import Message
from wam.service.pool import Lane
from wam.service.problems import Problem, bad_request
from wam.service.signing import Signed, require_signer, signed
from wam.signal.label import Label

FIELDS = (
    "asset", "owner", "user", "time", "mode", "label", "frames", "strength", "psnr", "quality", "format", "new_link",
    *VALUES, "source_type", "c2pa",
)  # fmt: skip
ASSET_FROM = "asset_from"  # of a job: where each picture's asset comes from
NAME = "name"
MEDIA_TYPES = {"jpg": "jpeg", "tif": "tiff"}  # by an extension that is none itself
LINK_HEADER = "Wam-Link"


Keep = Callable[[Message], Awaitable[None]]


@dataclass(frozen=True)
class Asked:
    """What a form asks for: the ``record``, whether its time was given (``timed``), how pictures are marked, in which
    ``format``, None for each one's own, and whether with a link of its own even for one that was marked before; with a
    manifest, what it ``declared`` of the picture."""

    record: Record
    timed: bool
    options: MarkOptions
    format: str | None
    new_link: bool
    declared: Declared | None = None


class Marking:
    """Its handlers."""

    def __init__(self, house: House) -> None:
        self.house = house

    async def embed(self, request: Request) -> Response:
        """Marks a picture: a multipart form with a ``file``, ``asset`` and ``owner``."""
        given = await picture_of(request, None, max_bytes=self.house.settings.limits.max_bytes)
        if given.fields is None:
            raise wrong_type("multipart/form-data")
        asked = self._asked(given.fields, request)
        target = None if asked.format is None else f"{PurePosixPath(given.name).stem or UPLOAD}.{asked.format}"
        answer = await self._mark(asked, given.content, given.name, target, Lane.LONG)
        return _marked(request, cast(EmbedObject, answer.said["embed"]), answer.contents[0])

    async def start_marking_job(self, request: Request) -> Response:
        """Marks many pictures: a form with ``file`` several times, or a ZIP archive in it, and the fields that marking
        one takes; ``asset`` for all of them, or ``asset_from`` = ``name``."""
        if media_type(request) != "multipart/form-data":
            raise wrong_type("multipart/form-data")
        limits = self.house.settings.limits
        form = await form_of(request, files=limits.job_files)
        try:
            fields = {key: one for key, one in form.multi_items() if isinstance(one, str)}
            of_name = fields.pop(ASSET_FROM, None)
            if of_name not in (None, NAME) or (of_name is None) == ("asset" not in fields):
                raise bad_request("asset: expected asset, or asset_from=name, found neither or both; give one")
            asked = self._asked(fields if of_name is None else {**fields, "asset": NAME}, request)
            files = [one for _, one in form.multi_items() if isinstance(one, UploadFile)]
            uploads = [(one.filename or UPLOAD, one.file) for one in files]

            async def mark_one(job: Job, content: bytes, name: str) -> dict[str, Any]:
                return await self._marked_in(job, asked, content, name, from_name=of_name is not None)

            def check(names: list[str]) -> None:
                checked_outputs(names, asked.format)

            job = await self.house.jobs.start(caller_of(request).client, uploads, mark_one, kind="embed", check=check)
        finally:
            await form.close()
        return JSONResponse(job.to_dict(), status_code=202, headers={"Location": f"/v1/jobs/{job.id}"})

    def _asked(self, fields: Mapping[str, str], request: Request) -> Asked:
        """What a form asks for, refused where the service does not sign and should; raises ``Problem``."""
        asked = _asked(fields, caller_of(request))
        if asked.declared is not None:
            require_signer(self.house.settings.signer)
        return asked

    async def _marked_in(self, job: Job, asked: Asked, content: bytes, name: str, *, from_name: bool) -> dict[str, Any]:
        """One picture of a job: the object of ``wam embed --json``, and the marked file where the job keeps it."""
        record: Record | None = None
        (output,) = checked_outputs([name], asked.format)
        place = job.new_file()
        try:
            record = _named(asked.record, output) if from_name else asked.record

            async def keep(answer: Message) -> None:
                await asyncio.to_thread(
                    job.keep, place, answer.contents[0], self.house.settings.limits.job_result_bytes
                )

            one = replace(asked, record=record)
            answer = await self._mark(one, content, name, PurePosixPath(output).name, Lane.BULK, keep=keep)
        except Problem as problem:
            job.drop(place)
            said = failed_object(
                image=show_name(name), mode=asked.options.mode, record=record, model=self.house.pool.model, error=None,
                message=show_name(problem.detail),
            )  # fmt: skip
            return dict(said)
        except BaseException:
            job.drop(place)
            raise
        job.kept[output] = place
        return {**answer.said["embed"], "image": show_name(name), "output": output}

    async def _mark(
        self, asked: Asked, content: bytes, name: str, target: str | None, lane: Lane, *, keep: Keep | None = None
    ) -> Message:
        """The marked picture, with an id of the registry in link mode; it is confirmed when the file is here, and where
        there is a ``keep``, kept, and else given up: it outlives the worker."""
        options = asked.options
        said: dict[str, Any] = {
            "do": "embed",
            "name": name,
            "target": target,
            "record": asked.record.to_dict(),
            "options": {
                "mode": options.mode,
                "strength": options.strength,
                "label": options.disclosure and options.disclosure.to_json(),
                "frames": options.frames,
                "quality": options.quality,
            },
        }
        if asked.declared is not None:
            said["sign"] = asdict(asked.declared)
        if options.mode == "record":
            answer, manifest = await self._done(said, content, name, lane, keep)
            if manifest is not None:
                await self.house.ask_registry(manifest.keep)
            return answer
        reserved, label = await self._reserve(asked, content)
        entry, generation = reserved.entry, reserved.entry.generation
        said |= {"word": entry.word, "record": entry.record.to_dict(), "reused": reserved.reused}
        said |= {"label": None if label is None else [label.namespace, label.generation]}
        try:
            answer, manifest = await self._done(said, content, name, lane, keep)
        except BaseException:
            if entry.state == "pending":
                with suppress(RegistryError):  # else it stays pending, which names no file
                    give_up = self.house.registry.discard
                    await asyncio.shield(asyncio.to_thread(give_up, entry.word, generation=generation))
            raise
        phash, sketch = int(answer.said["phash"], 16), answer.said["sketch"]

        def settle(registry: Registry) -> None:
            registry.confirm(entry.word, generation=generation, phash=phash, again=True, sketch=sketch)
            if manifest is not None:
                manifest.keep(registry)

        await self.house.ask_registry(settle)
        return answer

    async def _reserve(self, asked: Asked, content: bytes) -> tuple[Reserved, Label | None]:
        """An id and the label it is marked with: that of an earlier mark of the same picture for the same record,
        where there is one, as in a run of the command line."""

        def reserve(registry: Registry) -> tuple[Reserved, Label | None]:
            wanted = Wanted(asked.record, digest_of(content), timed=asked.timed)
            (reserved,) = registry.reserve([wanted], new_link=asked.new_link)
            return reserved, label_of(registry, reserved.entry)

        return await self.house.ask_registry(reserve)

    async def _done(
        self, said: dict[str, Any], content: bytes, name: str, lane: Lane, keep: Keep | None
    ) -> tuple[Message, Signed | None]:
        limits = self.house.settings.limits
        answer = await self.house.work(said, content, name, limits.mark_seconds + limits.grace, lane)
        if len(answer.contents) != 1:
            raise Problem(500, "fault", FAULT)
        manifest: Signed | None = None
        if "sign" in said:
            title = said["target"] or name
            answer, manifest = await signed(answer, content, title, require_signer(self.house.settings.signer))
        if keep is not None:
            await keep(answer)
        return answer, manifest


def _named(record: Record, name: str) -> Record:
    """The record with a picture's name, without folder and extension, for its asset; raises ``Problem``."""
    try:
        return replace(record, asset=PurePosixPath(name).stem)
    except ValueError as error:
        raise bad_request(show_name(str(error))) from None


def _asked(fields: Mapping[str, str], caller: Caller) -> Asked:
    """What a form asks for; raises ``Problem``."""
    unknown = sorted(set(fields) - set(FIELDS))
    if unknown:
        raise bad_request(f"form: expected {', '.join(FIELDS)}, found another field; leave it out")
    own = None if caller.key is None else caller.key.owner
    owner = fields.get("owner") or own or ""
    if own is not None and owner != own:
        raise Problem(403, "not-allowed", "owner: expected the one that this key is for, found another")
    format = fields.get("format") or None
    if format is not None and not (format.isascii() and format.isalnum()):
        raise bad_request("format: expected an extension such as png or jpg, found another")
    try:
        signs, source_type = switch_of(fields, "c2pa"), fields.get("source_type")
        declared = Declared(source_type_of(source_type) if source_type else None) if signs else None
        not_of_label = ("source_type",) if signs and not fields.get("label") else ()
        time, quality = fields.get("time"), number_of(fields, "quality")
        when = parse_time(time) if time else now()
        record = Record(fields.get("asset", ""), owner, fields.get("user") or None, when)
        options = MarkOptions(
            mode=cast(Any, fields.get("mode") or "link"),
            strength=either(fields.get("strength") or None, number_of(fields, "psnr")),
            label=from_form({name: value for name, value in fields.items() if name not in not_of_label}),
            frames=switch_of(fields, "frames"),
            quality=None if quality is None else round(quality),
        )
        new_link = switch_of(fields, "new_link")
    except (ValueError, OverflowError, WamError) as error:
        raise bad_request(show_name(str(error))) from None
    return Asked(record, bool(time), options, format, new_link, declared)


def _marked(request: Request, said: EmbedObject, content: bytes) -> Response:
    """The marked file, or the object of ``wam embed --json`` and the file, as the caller likes."""
    name = str(said["output"])
    suffix = name.rpartition(".")[2]
    kind = f"image/{MEDIA_TYPES.get(suffix, suffix)}"
    headers = {} if said["link"] is None else {LINK_HEADER: said["link"]}
    if "multipart/mixed" not in request.headers.get("accept", ""):
        headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(name, safe='')}"
        return Response(content, media_type=kind, headers=headers)
    edge = secrets.token_hex(16)
    head = f"--{edge}\r\nContent-Type: application/json\r\n\r\n{json.dumps(said, ensure_ascii=True)}\r\n"
    middle = f"--{edge}\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n\r\n"
    body = b"".join([head.encode(), middle.encode(), content, f"\r\n--{edge}--\r\n".encode()])
    return Response(body, media_type=f"multipart/mixed; boundary={edge}", headers=headers)
