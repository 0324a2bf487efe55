"""Jobs that mark: many pictures and their records go in, an archive of marked files comes out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse, Response
from starlette.datastructures import FormData, UploadFile

from payload import Record
from wam.errors import WamError, show_name
from wam.jobs.asset_list import fields_of_names
from wam.jobs.plan import Fields, MissingRowError
from wam.pipeline.contract import EmbedObject, failed_object
from wam.provenance.credentials import Credentials
from wam.service.asked import Asked, asked_of, check_owner, named, own_of, record_of
from wam.service.bodies import UPLOAD, form_of, media_type, short_name, wrong_type
from wam.service.gate import Caller
from wam.service.house import House, caller_of
from wam.service.job import Job
from wam.service.job_files import Member
from wam.service.job_uploads import checked_outputs
from wam.service.marking import Marking
from wam.service.problems import Problem, bad_request
from wam.service.worker import Lane

ASSET_FROM = "asset_from"  # where each picture's asset comes from
NAME, LIST = "name", "list"
LONGEST_LIST = 8 << 20  # bytes


class MarkingJobs:
    """Their handlers; ``marking`` does one picture."""

    def __init__(self, house: House, marking: Marking) -> None:
        self.house, self._marking = house, marking
        house.jobs.can("embed", self._mark_one, self._failed)

    async def start_marking_job(self, request: Request) -> Response:
        """Marks many pictures: a form with ``file`` several times, or a ZIP archive in it, and the fields that marking
        one takes; ``asset`` for all of them, ``asset_from`` = ``name``, or a ``list`` (CSV) that says of each path in
        the upload the asset, and owner, user and time where they differ."""
        if media_type(request) != "multipart/form-data":
            raise wrong_type("multipart/form-data")
        form = await form_of(request, files=self.house.settings.limits.job_files + 1)
        try:
            fields = {key: one for key, one in form.multi_items() if isinstance(one, str)}
            records, asked = await _records_of(fields, form, caller_of(request), self.house.settings.signer)
            files = [one for key, one in form.multi_items() if isinstance(one, UploadFile) and key != LIST]
            uploads = [(one.filename or UPLOAD, one.file) for one in files]

            def plan_all(names: list[str]) -> list[Any]:
                checked_outputs(names, asked.format)
                return [records(name) for name in names]

            job = await self.house.jobs.start(
                caller_of(request).client, uploads, "embed", asked.to_dict(), plan_all=plan_all
            )
        finally:
            await form.close()
        return JSONResponse(job.to_dict(), status_code=202, headers={"Location": f"/v1/jobs/{job.id}"})

    async def _mark_one(self, job: Job, number: int, content: bytes, member: Member) -> dict[str, Any]:
        """One picture of a job: the object of ``wam embed --json``, and the marked file where the job keeps it."""
        asked, output = _of_picture(job, number)
        if asked is None:
            raise bad_request(member.asked["line"])
        keeper = _JobKeeper(job, number, self.house.settings.limits.job_result_bytes)
        target = PurePosixPath(output).name
        try:
            answer = await self._marking.mark(asked, content, member.name, target, Lane.BULK, keeper=keeper)
        except Exception:
            await job.drop(number)
            raise
        return {**answer.said["embed"], "image": show_name(member.name), "output": output}

    def _failed(self, job: Job, number: int, line: str) -> EmbedObject:
        """The object for a picture of a job that could not be marked."""
        asked, _ = _of_picture(job, number)
        return failed_object(
            image=show_name(job.plan.members[number].name), mode=Asked.from_dict(job.plan.asked).options.mode,
            record=None if asked is None else asked.record, model=self.house.pool.model, error=None,
            message=show_name(line),
        )  # fmt: skip


def _of_picture(job: Job, number: int) -> tuple[Asked | None, str]:
    """What is asked for of one picture of a job, None where it cannot be, and what it will be called."""
    asked, member = Asked.from_dict(job.plan.asked), job.plan.members[number]
    (output,) = checked_outputs([member.name], asked.format)
    if member.asked is None:
        return asked, output
    if "line" in member.asked:
        return None, output
    return replace(asked, record=record_of(member.asked["record"]), timed=member.asked["timed"]), output


@dataclass(frozen=True)
class _JobKeeper:
    """The ``Keeper`` of a job's picture."""

    job: Job
    number: int
    most: int

    async def link(self) -> str | None:
        """See ``Keeper``."""
        return await asyncio.to_thread(self.job.files.link, self.number)

    async def reserved(self, link: str) -> None:
        """See ``Keeper``."""
        await asyncio.to_thread(self.job.files.put_link, self.number, link)

    async def keep(self, content: bytes) -> None:
        """See ``Keeper``."""
        await self.job.keep(self.number, content, self.most)


Records = Callable[[str], Any]


async def _records_of(
    fields: Mapping[str, str], form: FormData, caller: Caller, signer: Credentials | None
) -> tuple[Records, Asked]:
    """What is asked for of each picture alone, by its name, and of all; raises ``Problem``, as does the former."""
    others = {key: value for key, value in fields.items() if key != ASSET_FROM}
    lists = [one for one in form.getlist(LIST) if isinstance(one, UploadFile)]
    of_name = fields.get(ASSET_FROM)
    if of_name not in (None, NAME) or (of_name is not None) + ("asset" in fields) + len(lists) != 1:
        raise bad_request("asset: expected asset, asset_from=name or a list, found none or several; give one")
    if "asset" in others:
        return (lambda name: None), asked_of(others, caller, signer=signer)
    if not lists:
        common = asked_of({**others, "asset": NAME}, caller, signer=signer)
        return (lambda name: _by_name(common, name)), common
    content = await lists[0].read(LONGEST_LIST + 1)
    if len(content) > LONGEST_LIST:
        raise Problem(413, "too-large", f"list: expected at most {LONGEST_LIST:,} bytes, found more; send less")
    return _by_list(content, short_name(lists[0].filename), others, caller, signer)


def _by_name(common: Asked, name: str) -> dict[str, Any]:
    """A picture's asset is its name; one that cannot be is said of that picture."""
    try:
        return _said(named(common.record, checked_outputs([name], None)[0]), timed=common.timed)
    except Problem as problem:
        return {"line": problem.detail}


def _by_list(
    content: bytes, shown: str, fields: Mapping[str, str], caller: Caller, signer: Credentials | None
) -> tuple[Records, Asked]:
    """What rows of a list say, and what the form says of all; raises ``Problem``, as does the former."""
    owner = fields.get("owner") or own_of(caller)
    each = {**fields, "asset": LIST, "owner": owner or LIST}  # each picture has a record of its own
    common = asked_of(each, caller, signer=signer)
    base = Fields(None, owner, fields.get("user") or None, fields.get("time") or None)
    try:
        find = fields_of_names(content, shown, base)
    except WamError as error:
        raise bad_request(show_name(str(error))) from None

    def record_for(name: str) -> dict[str, Any]:
        try:
            row = find(name)
            record = row.record()
        except MissingRowError as error:
            raise bad_request(show_name(str(error))) from None
        except ValueError as error:
            raise bad_request(show_name(f"{shown}: {name}: {error}")) from None
        check_owner(record.owner, caller)
        return _said(record, timed=bool(row.time))

    return record_for, common


def _said(record: Record, *, timed: bool) -> dict[str, Any]:
    return {"record": record.to_dict(), "timed": timed}
