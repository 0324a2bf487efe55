"""Marking: a picture and its record go in, the marked file comes out."""

from __future__ import annotations

import asyncio
import json
import secrets
from contextlib import suppress
from dataclasses import asdict
from pathlib import PurePosixPath
from typing import Any, Protocol, cast
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import Response

from payload.errors import RegistryError
from payload.registry import Registry
from payload.registry.entry import IN_USE
from payload.registry.reservations import Reserved, Wanted
from wam.pictures.storage import digest_of
from wam.pipeline.contract import EmbedObject
from wam.pipeline.registered_words import label_of
from wam.service.asked import Asked, asked_of
from wam.service.bodies import UPLOAD, picture_of, wrong_type
from wam.service.house import FAULT, House, caller_of
from wam.service.messages import Message
from wam.service.problems import Problem
from wam.service.signing import Signed, require_signer, signed
from wam.service.worker import Lane
from wam.signal.label import Label

MEDIA_TYPES = {"jpg": "jpeg", "tif": "tiff"}  # by an extension that is none itself
LINK_HEADER = "Wam-Link"


class Keeper(Protocol):
    """What remembers a marked picture where the service may end in the middle of marking it: a job."""

    async def link(self) -> str | None:
        """The id that was reserved for it before, by this service or one before it."""
        ...

    async def reserved(self, link: str) -> None:
        """Told of the id that is reserved for it, before it is marked."""
        ...

    async def keep(self, content: bytes) -> None:
        """Keeps it, before its id is confirmed; raises ``Problem``."""
        ...


class Marking:
    """Its handlers."""

    def __init__(self, house: House) -> None:
        self.house = house

    async def embed(self, request: Request) -> Response:
        """Marks a picture: a multipart form with a ``file``, ``asset`` and ``owner``."""
        given = await picture_of(request, None, max_bytes=self.house.settings.limits.max_bytes)
        if given.fields is None:
            raise wrong_type("multipart/form-data")
        asked = asked_of(given.fields, caller_of(request), signer=self.house.settings.signer)
        target = None if asked.format is None else f"{PurePosixPath(given.name).stem or UPLOAD}.{asked.format}"
        answer = await self.mark(asked, given.content, given.name, target, Lane.LONG)
        return _marked(request, cast(EmbedObject, answer.said["embed"]), answer.contents[0])

    async def mark(
        self, asked: Asked, content: bytes, name: str, target: str | None, lane: Lane, *, keeper: Keeper | None = None
    ) -> Message:
        """The marked picture, with an id of the registry in link mode; it is confirmed when the file is here, and where
        there is a ``keeper``, kept, and else given up: it outlives the worker."""
        options = asked.options
        if asked.declared is not None:
            require_signer(self.house.settings.signer)  # before an id is taken
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
            answer, manifest = await self._done(said, content, name, lane, keeper)
            if manifest is not None:
                await self.house.ask_registry(manifest.keep)
            return answer
        reserved, label = await self._reserve(asked, content, keeper)
        entry, generation = reserved.entry, reserved.entry.generation
        said |= {"word": entry.word, "record": entry.record.to_dict(), "reused": reserved.reused}
        said |= {"label": None if label is None else [label.namespace, label.generation]}
        try:
            answer, manifest = await self._done(said, content, name, lane, keeper)
        except BaseException:
            if entry.state == "pending":
                with suppress(RegistryError):  # else it stays pending, which names no file
                    give_up = self.house.registry.discard
                    await asyncio.shield(asyncio.to_thread(give_up, entry.word, generation=generation))
            raise
        kept = answer.said
        seen: dict[str, Any] = {"phash": int(kept["phash"], 16), "sketch": kept["sketch"]}
        seen["pdq"] = None if kept["pdq"] is None else int(kept["pdq"], 16)

        def settle(registry: Registry) -> None:
            registry.confirm(entry.word, generation=generation, again=True, **seen)
            if manifest is not None:
                manifest.keep(registry)

        await self.house.ask_registry(settle)
        return answer

    async def _reserve(self, asked: Asked, content: bytes, keeper: Keeper | None) -> tuple[Reserved, Label | None]:
        """An id and the label it is marked with: that of an earlier mark of the same picture for the same record,
        where there is one, as in a run of the command line. One of its own is remembered by who keeps the picture."""
        earlier = await keeper.link() if keeper is not None and asked.new_link else None

        def reserve(registry: Registry) -> tuple[Reserved, Label | None]:
            entry = None if earlier is None else registry.find_link(earlier)
            if entry is not None and entry.state in IN_USE:
                return Reserved(entry, False), label_of(registry, entry)
            wanted = Wanted(asked.record, digest_of(content), timed=asked.timed)
            (reserved,) = registry.reserve([wanted], new_link=asked.new_link)
            return reserved, label_of(registry, reserved.entry)

        made = await self.house.ask_registry(reserve)
        if keeper is not None and asked.new_link:
            await keeper.reserved(made[0].entry.link)
        return made

    async def _done(
        self, said: dict[str, Any], content: bytes, name: str, lane: Lane, keeper: Keeper | None
    ) -> tuple[Message, Signed | None]:
        limits = self.house.settings.limits
        answer = await self.house.work(said, content, name, limits.mark_seconds + limits.grace, lane)
        if len(answer.contents) != 1:
            raise Problem(500, "fault", FAULT)
        manifest: Signed | None = None
        if "sign" in said:
            title = said["target"] or name
            answer, manifest = await signed(answer, content, title, require_signer(self.house.settings.signer))
        if keeper is not None:
            await keeper.keep(answer.contents[0])
        return answer, manifest


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
