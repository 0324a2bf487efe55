"""Marking: a picture and its record go in, the marked file comes out."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import PurePosixPath
from typing import Any, cast
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import Response

from payload import Record, parse_time
from payload.errors import RegistryError
from payload.records.record import now
from wam.errors import WamError, show_name
from wam.networks.strength import either
from wam.pipeline.contract import EmbedObject
from wam.pipeline.options import MarkOptions
from wam.pipeline.registered_words import label_of
from wam.service.bodies import UPLOAD, number_of, picture_of, switch_of, wrong_type
from wam.service.gate import Caller
from wam.service.house import FAULT, House, caller_of
from wam.service.messages import Message
from wam.service.pool import Lane
from wam.service.problems import Problem, bad_request

FIELDS = ("asset", "owner", "user", "time", "mode", "label", "frames", "strength", "psnr", "quality", "format")
MEDIA_TYPES = {"jpg": "jpeg", "tif": "tiff"}  # by an extension that is none itself
LINK_HEADER = "Wam-Link"


class Marking:
    """Its handler."""

    def __init__(self, house: House) -> None:
        self.house = house

    async def embed(self, request: Request) -> Response:
        """Marks a picture: a multipart form with a ``file``, ``asset`` and ``owner``."""
        given = await picture_of(request, None, max_bytes=self.house.settings.limits.max_bytes)
        if given.fields is None:
            raise wrong_type("multipart/form-data")
        record, options, format = _asked(given.fields, caller_of(request))
        said = {
            "do": "embed",
            "name": given.name,
            "target": None if format is None else f"{PurePosixPath(given.name).stem or UPLOAD}.{format}",
            "record": record.to_dict(),
            "options": {
                "mode": options.mode,
                "strength": options.strength,
                "label": options.label,
                "frames": options.frames,
                "quality": options.quality,
            },
        }
        if options.mode == "record":
            answer = await self._mark(said, given.content, given.name)
        else:
            answer = await self._mark_with_link(said, record, given.content, given.name)
        return _marked(request, cast(EmbedObject, answer.said["embed"]), answer.contents[0])

    async def _mark_with_link(self, said: dict[str, Any], record: Record, content: bytes, name: str) -> Message:
        """The id outlives the worker: it is confirmed when the marked file is here, and else given up."""
        entry, label = await self.house.ask_registry(
            lambda registry: (one := registry.allocate(record), label_of(registry, one))
        )
        own = {"word": entry.word, "label": None if label is None else [label.namespace, label.generation]}
        registry, generation = self.house.registry, entry.generation
        try:
            answer = await self._mark({**said, **own}, content, name)
        except BaseException:
            with suppress(RegistryError):  # else it stays pending, which names no file
                await asyncio.shield(asyncio.to_thread(registry.discard, entry.word, generation=generation))
            raise
        phash = int(answer.said["phash"], 16)
        await self.house.ask_registry(lambda own: own.confirm(entry.word, generation=generation, phash=phash))
        return answer

    async def _mark(self, said: dict[str, Any], content: bytes, name: str) -> Message:
        limits = self.house.settings.limits
        answer = await self.house.work(said, content, name, limits.mark_seconds + limits.grace, Lane.LONG)
        if len(answer.contents) != 1:
            raise Problem(500, "fault", FAULT)
        return answer


def _asked(fields: Mapping[str, str], caller: Caller) -> tuple[Record, MarkOptions, str | None]:
    """What a form asks for: the record, how, and in which format; raises ``Problem``."""
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
        time, quality = fields.get("time"), number_of(fields, "quality")
        when = parse_time(time) if time else now()
        record = Record(fields.get("asset", ""), owner, fields.get("user") or None, when)
        options = MarkOptions(
            mode=cast(Any, fields.get("mode") or "link"),
            strength=either(fields.get("strength") or None, number_of(fields, "psnr")),
            label=switch_of(fields, "label"),
            frames=switch_of(fields, "frames"),
            quality=None if quality is None else round(quality),
        )
    except (ValueError, OverflowError, WamError) as error:
        raise bad_request(show_name(str(error))) from None
    return record, options, format


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
