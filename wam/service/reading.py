"""Reading: one picture that is sent or named, and jobs of many."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any, cast

from fastapi import Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.datastructures import UploadFile

from wam.errors import WamError, mask_secrets, show_name
from wam.models.effort import Effort
from wam.pipeline.contract import DetectObject, detect_object
from wam.pipeline.similar import MOST, check_count
from wam.service.bodies import UPLOAD, form_of, media_type, picture_of, wrong_type
from wam.service.house import House, caller_of
from wam.service.job import FarJob, Job
from wam.service.job_files import Member
from wam.service.messages import Message
from wam.service.problems import Problem, bad_request
from wam.service.roles import Role, View
from wam.service.views import ServedDetect, served
from wam.service.worker import Lane

ARCHIVES = ("application/zip", "application/x-zip-compressed")

OverlayQuery = Annotated[bool, Query(description="Answer with links to an overlay and masks.")]
ThoroughQuery = Annotated[bool, Query(description="Search on when a mark was found.")]
QuickQuery = Annotated[bool, Query(description="Look at the usual resolution only.")]
FramesQuery = Annotated[bool, Query(description="Take all frames of an animation.")]
SecondsQuery = Annotated[
    float | None,
    Query(gt=0, le=86400, description="Begin no further look after so many seconds; the service has a bound too."),
]
ViewQuery = Annotated[View | None, Query(description="Show no more than this view does.")]
SimilarQuery = Annotated[
    int,
    Query(ge=0, le=MOST, description="List so many registered pictures that look alike; for the staff view only."),
]
CandidatesQuery = Annotated[
    bool, Query(description="List the records that an unregistered mark could be of; for the staff view only.")
]
NameQuery = Annotated[str | None, Query(max_length=1024, description="What the answer and errors call the picture.")]


class Reading:
    """Its handlers."""

    def __init__(self, house: House) -> None:
        self.house = house
        house.jobs.can("detect", self._read_one, _failed)

    async def detect(
        self,
        request: Request,
        overlay: OverlayQuery = False,
        thorough: ThoroughQuery = False,
        quick: QuickQuery = False,
        frames: FramesQuery = False,
        seconds: SecondsQuery = None,
        view: ViewQuery = None,
        name: NameQuery = None,
        similar: SimilarQuery = 0,
        candidates: CandidatesQuery = False,
    ) -> Response:
        """Every watermark of a picture: a multipart form with a ``file``, or the picture as the body."""
        effort = _effort(thorough, quick, seconds or self.house.settings.limits.seconds)
        self._check_for_staff(request, view, similar=similar, candidates=candidates)
        given = await picture_of(request, name, max_bytes=self.house.settings.limits.max_bytes)
        more = {"similar": similar, "candidates": candidates}
        return await self._detected(request, given.content, given.name, effort, overlay, frames, view, **more)

    async def detect_url(
        self,
        request: Request,
        overlay: OverlayQuery = False,
        thorough: ThoroughQuery = False,
        quick: QuickQuery = False,
        frames: FramesQuery = False,
        seconds: SecondsQuery = None,
        view: ViewQuery = None,
    ) -> Response:
        """The same of a picture behind a URL, where the service fetches such."""
        effort = _effort(thorough, quick, seconds or self.house.settings.limits.seconds)
        if not self.house.settings.fetch_urls:
            line = "url: expected a picture, found a URL; this service fetches none, send the picture"
            raise Problem(403, "not-allowed", line)
        if media_type(request) != "application/json":
            raise wrong_type("application/json")
        try:
            url = json.loads(await request.body())["url"]
        except (ValueError, KeyError, TypeError, IndexError, RecursionError):
            url = None
        if not isinstance(url, str):
            raise bad_request('url: expected a body like {"url": "https://host/picture.jpg"}, found another')
        content = await asyncio.to_thread(self.house.fetcher.fetch, url)
        return await self._detected(request, content, mask_secrets(url), effort, overlay, frames, view)

    async def result_file(self, request: Request, token: str) -> Response:
        """An overlay or mask, for whom it was made."""
        found = await asyncio.to_thread(self.house.kept.get, token, caller_of(request).client)
        if found is None:
            line = "link: expected one that is still kept, found none; ask for the picture again"
            raise Problem(404, "not-found", line)
        return Response(found[0], media_type=found[1])

    async def start_job(self, request: Request, quick: QuickQuery = False, view: ViewQuery = None) -> Response:
        """Reads many pictures: a form with ``file`` several times, or a ZIP archive."""
        shown, client = self.house.view(request, view), caller_of(request).client
        asked = {"quick": quick, "view": shown}
        if media_type(request) in ARCHIVES:
            with self.house.folder.unnamed() as stream:
                async for chunk in request.stream():
                    await asyncio.to_thread(stream.write, chunk)
                stream.seek(0)
                job = await self.house.jobs.start(client, [("upload.zip", stream)], "detect", asked)
        elif media_type(request) == "multipart/form-data":
            form = await form_of(request, files=self.house.settings.limits.job_files)
            try:
                files = [one for _, one in form.multi_items() if isinstance(one, UploadFile)]
                uploads = [(one.filename or UPLOAD, one.file) for one in files]
                job = await self.house.jobs.start(client, uploads, "detect", asked)
            finally:
                await form.close()
        else:
            raise wrong_type("application/zip or multipart/form-data")
        return JSONResponse(job.to_dict(), status_code=202, headers={"Location": f"/v1/jobs/{job.id}"})

    async def _read_one(self, job: Job, _: int, content: bytes, member: Member) -> dict[str, Any]:
        """One picture of a job."""
        effort = _effort(False, bool(job.plan.asked["quick"]), self.house.settings.limits.seconds)
        answer = await self._read(content, member.name, effort, "", False, lane=Lane.BULK)
        return dict(served(cast(DetectObject, answer.said["detect"]), View(job.plan.asked["view"])))

    async def show_job(self, request: Request, id: str) -> Response:
        """How far a job is."""
        return JSONResponse((await self._job(request, id)).to_dict())

    async def job_results(self, request: Request, id: str) -> Response:
        """What was found so far, one JSON object a line."""
        lines = await self.house.jobs.results(await self._job(request, id))
        return StreamingResponse(lines, media_type="application/x-ndjson")

    async def job_files(self, request: Request, id: str) -> Response:
        """The pictures that a job marked, as a ZIP archive."""
        archive = await self.house.jobs.archive(await self._job(request, id))
        if archive is None:
            raise Problem(409, "conflict", "job: expected one that marks and is done, found another; ask for it first")
        headers = {"Content-Disposition": 'attachment; filename="marked.zip"'}
        return StreamingResponse(archive, media_type=ARCHIVES[0], headers=headers)

    async def end_job(self, request: Request, id: str) -> Response:
        """Takes a job back, with its results."""
        await self.house.jobs.end(await self._job(request, id))
        return Response(status_code=204)

    async def _job(self, request: Request, id: str) -> Job | FarJob:
        caller = caller_of(request)
        return await self.house.jobs.find(id, caller.client, any_client=caller.role is Role.ADMIN)

    async def _detected(
        self,
        request: Request,
        content: bytes,
        name: str,
        effort: Effort,
        overlay: bool,
        frames: bool,
        view: View | None,
        **more: int,
    ) -> Response:
        """The answer of ``detect``, with links where they were asked for; ``more`` that is listed."""
        shown = self.house.view(request, view)
        lane = Lane.LONG if effort.thorough or frames else Lane.SHORT
        answer = await self._read(content, name, effort, str(shown) if overlay else "", frames, lane=lane, **more)
        said: ServedDetect = served(cast(DetectObject, answer.said["detect"]), shown)
        if answer.contents:
            client, kinds = caller_of(request).client, ["image/jpeg", *["image/png"] * (len(answer.contents) - 1)]
            links = [
                f"/v1/results/{await asyncio.to_thread(self.house.kept.put, one, kind, client)}"
                for one, kind in zip(answer.contents, kinds, strict=True)
            ]
            said["overlay"], said["masks"] = links[0], links[1:]
        return JSONResponse(said)

    def _check_for_staff(self, request: Request, view: View | None, *, similar: int, candidates: bool) -> None:
        """Registered pictures and records that may be meant are listed for those who may see all records: they prove
        nothing that the others could use, and say what the registry holds."""
        for name, asked in (("similar", similar), ("candidates", candidates)):
            if asked and self.house.view(request, view) is not View.STAFF:
                line = f"{name}: expected a caller who is shown all records, found another; leave it out"
                raise Problem(403, "not-allowed", line)
        try:
            check_count(similar)
        except WamError as error:
            raise bad_request(str(error)) from None

    async def _read(
        self, content: bytes, name: str, effort: Effort, overlay: str, frames: bool, *, lane: Lane, **more: int
    ) -> Message:
        limits = self.house.settings.limits
        seconds = min(effort.seconds or limits.seconds, limits.seconds)
        said = {
            "do": "detect",
            "name": name,
            "overlay": overlay,
            "frames": frames,
            "thorough": effort.thorough,
            "quick": effort.quick,
            "seconds": seconds,
            **more,
        }
        return await self.house.work(said, content, name, limits.seconds + limits.grace, lane)


def _failed(job: Job, number: int, line: str) -> DetectObject:
    """The object for a picture of a job that could not be read."""
    name = show_name(job.plan.members[number].name)
    return detect_object(None, image=name, model="", error=show_name(line))


def _effort(thorough: bool, quick: bool, seconds: float) -> Effort:
    """How much is looked for; raises ``Problem``, before a body is read."""
    try:
        return Effort(thorough=thorough, quick=quick, seconds=seconds)
    except WamError as error:
        raise bad_request(str(error)) from None
