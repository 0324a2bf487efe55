"""Jobs: many pictures in one upload, read or marked one after another behind all other requests, with progress.

A job belongs to the key that started it, and lies in the store (``job_files``) from its upload to the end of the time
that its results are kept. The service that took it works on it; when that ends, or is killed, another that has the
store goes on with what was not done, or the same one when it is there again. What was done in the last second before
may be done twice: reading says the same again, and marking takes the id up that the picture has.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import IO, Any, cast

from wam.service.job import FarJob, Job, JobObject, Kind, TakenError
from wam.service.job_files import CHUNK, JobFiles, Member, Plan, Standing, ids, now
from wam.service.job_uploads import taken_over
from wam.service.job_work import FAULT, Failed, JobWork, MayGoOn, WorkOne, log_fault
from wam.service.kept import PrivateFolder
from wam.service.presence import Presence
from wam.service.problems import Problem, too_many
from wam.service.settings import Settings
from wam.service.shared import Store

PlanAll = Callable[[list[str]], Sequence[Any]]


class Jobs:
    """All jobs of a service and of those that share its ``store``; for the thread of its event loop."""

    def __init__(self, store: Store, folder: PrivateFolder, settings: Settings, at_once: int) -> None:
        self._store, self._limits = store, settings.limits
        self._presence = Presence(store)
        self._jobs: dict[str, Job] = {}
        left: Callable[[Job], object] = lambda job: self._jobs.pop(job.id, None)  # noqa: E731
        self._work = JobWork(self._presence.name, folder, settings, at_once, left)

    def can(self, kind: Kind, work_one: WorkOne, failed: Failed) -> None:
        """Says how a picture of such jobs is worked on: ``work_one`` answers with the contract's object for it, also
        where the job was begun by another service, or raises ``Problem``, which ``failed`` makes an object of."""
        self._work.can(kind, work_one, failed)

    def only_for(self, may_go_on: MayGoOn) -> None:
        """Says for which clients jobs are gone on with, asked in a thread before each picture; raises ``Problem`` where
        that cannot be known now. Until it is said, for all."""
        self._work.only_for(may_go_on)

    async def start(
        self, client: str, uploads: Sequence[tuple[str, IO[bytes]]], kind: Kind, asked: Any, *,
        plan_all: PlanAll | None = None,
    ) -> Job:  # fmt: skip
        """Takes an archive (ZIP) or files over and begins; raises ``Problem``. ``plan_all`` is given the names of all
        pictures and says what is asked for of each alone, or refuses them before the first is worked on."""
        if not self._has_room:
            raise too_many(f"jobs: expected at most {self._limits.jobs} at a time, found more; wait for one to end", 60)
        job = Job(client, JobFiles(self._store, secrets.token_urlsafe(12)), kind)
        self._jobs[job.id] = job
        try:
            await job.tell(self._presence.name, whole=True)
            members, job.passed_over = await asyncio.to_thread(taken_over, job.files, uploads, self._limits.job_files)
            if plan_all is not None:
                each = plan_all([one.name for one in members])
                members = [Member(one.upload, one.name, more) for one, more in zip(members, each, strict=True)]
            job.plan = Plan(asked, tuple(members), len(uploads))
            await asyncio.to_thread(job.files.put_plan, job.plan)
        except BaseException:
            self._jobs.pop(job.id, None)
            with suppress(Problem):  # what stays there is swept later
                await asyncio.shield(asyncio.to_thread(job.files.remove))
            raise
        job.task = asyncio.create_task(self._work.run(job))
        return job

    async def find(self, id: str, client: str, *, any_client: bool) -> Job | FarJob:
        """A job of this client's, or of any, here or of another service; raises ``Problem``."""
        job: Job | FarJob | None = self._jobs.get(id)
        if job is None:
            files = JobFiles(self._store, id)
            told = await asyncio.to_thread(files.standing)
            job = None if told is None else FarJob(told.client, files, cast(JobObject, {"reason": None, **told.said}))
        if job is None or not (any_client or job.client == client):
            raise Problem(404, "not-found", "job: expected one of yours, found none; results are kept for a while only")
        return job

    async def results(self, job: Job | FarJob) -> AsyncIterator[bytes]:
        """What was said of its pictures so far, one JSON object a line; raises ``Problem``."""
        if isinstance(job, Job) and not job.is_over:
            with suppress(TakenError):
                await job.tell(self._presence.name, whole=True)
        return _lines(job.files)

    async def archive(self, job: Job | FarJob) -> AsyncIterator[bytes] | None:
        """The pictures that it marked; None as long as there are none to be fetched."""
        if job.to_dict()["files"] is None:
            return None
        stream = await asyncio.to_thread(job.files.archive)
        return None if stream is None else _chunks(stream)

    async def end(self, job: Job | FarJob) -> None:
        """Takes a job back: nothing more of it is read, and what was found is removed."""
        if isinstance(job, FarJob):
            told = await asyncio.to_thread(job.files.standing)
            if told is not None and told.is_running and not self._presence.is_gone(told.owner, told.at):
                await asyncio.to_thread(job.files.end)  # whoever works on it removes it
            else:
                await asyncio.to_thread(job.files.remove)
            return
        await self._stop(job)
        if job.state == "running":
            job.state = "ended"
        await asyncio.to_thread(job.files.remove)
        self._jobs.pop(job.id, None)

    async def sweep(self) -> None:
        """Removes jobs that were done long ago and what services left that were killed, tells that the others go on,
        and takes up what nobody works on any more; nothing where the store does not answer."""
        with suppress(OSError):  # a folder that another machine serves may be away
            await asyncio.to_thread(self._presence.sweep)
        for job in list(self._jobs.values()):
            if job.task is None:  # it is taken over right now, which may take longer than others wait
                with suppress(TakenError, Problem):
                    await job.tell(self._presence.name, whole=True)
                continue
            if job.is_over:
                self._jobs.pop(job.id, None)
                continue
            try:
                await job.tell(self._presence.name, whole=True)
            except TakenError:
                await self._stop(job)
                await self._work.leave(job)
            except Problem:
                continue
            except Exception as error:  # its folder was removed meanwhile, say: the others go on
                log_fault(error)
        with suppress(Problem):
            for id in await asyncio.to_thread(ids, self._store):
                if id not in self._jobs:
                    await self._look_at_one(JobFiles(self._store, id))

    async def close(self) -> None:
        """Lets go of all: another service goes on with them, or this one when it is there again."""
        for job in list(self._jobs.values()):
            await self._stop(job)
            if job.state == "running":
                with suppress(Problem, TakenError):
                    await job.tell(None, whole=True)
        self._jobs.clear()
        self._presence.close()

    async def _look_at_one(self, files: JobFiles) -> None:
        """The same as ``_look_at``, whatever lies in the store: of one that cannot be gone on with nobody waits."""
        try:
            await self._look_at(files)
        except Problem:
            raise
        except Exception as error:
            log_fault(error)
            told = await asyncio.to_thread(files.standing)
            if told is not None:
                said = {**told.said, "state": "failed", "reason": FAULT}
                await asyncio.to_thread(files.put_standing, replace(told, said=said, at=now(), owner=None))

    async def _look_at(self, files: JobFiles) -> None:
        """Does what is to be done about a job that is not this service's."""
        told = await asyncio.to_thread(files.standing)
        if told is None:  # it was removed while something of it was still being written
            latest = await asyncio.to_thread(lambda: files.latest)
            if latest is not None and latest < now() - self._limits.job_seconds:
                await asyncio.to_thread(files.remove)
            return
        if not told.is_running:
            if told.at < now() - self._limits.job_seconds:
                await asyncio.to_thread(files.remove)
            return
        mine = told.owner == self._presence.name  # and not among those that are worked on
        gone = mine or await asyncio.to_thread(self._presence.is_gone, told.owner, told.at)
        if gone and self._has_room and self._work.knows(told.said["kind"]):
            await self._take_up(files, told)

    @property
    def _has_room(self) -> bool:
        return sum(job.state == "running" for job in self._jobs.values()) < self._limits.jobs

    async def _take_up(self, files: JobFiles, told: Standing) -> None:
        """Goes on with a job, unless another service does so."""
        plan = await asyncio.to_thread(files.plan)
        if plan is None or await asyncio.to_thread(lambda: files.is_ended):
            await asyncio.to_thread(files.remove)
            return
        claim = told.claim + 1
        while not await asyncio.to_thread(files.claim, claim):
            if not await asyncio.to_thread(files.is_old_claim, claim):
                return  # another service is about to go on with it
            claim += 1
        said = cast(JobObject, told.said)
        tries = 0 if told.owner is None else told.tries + 1  # nothing went wrong where it was let go
        mine = replace(told, at=now(), owner=self._presence.name, claim=claim, tries=tries)
        await asyncio.to_thread(files.put_standing, mine)  # first: reading what was done may take its time
        job = Job(told.client, files, said["kind"], plan, said["passed_over"], claim, tries)
        for number, line in await asyncio.to_thread(list, files.lines()):
            job.count(number, json.loads(line))
        if job.kind == "embed":
            job.sizes = await asyncio.to_thread(files.kept_sizes)
        self._jobs[job.id] = job
        job.task = asyncio.create_task(self._work.run(job))

    async def _stop(self, job: Job) -> None:
        if job.task is not None:
            job.task.cancel()
            with suppress(asyncio.CancelledError):
                await job.task


async def _lines(files: JobFiles) -> AsyncIterator[bytes]:
    lines = files.lines()
    while (line := await asyncio.to_thread(next, lines, None)) is not None:
        yield f"{line[1]}\n".encode()


async def _chunks(stream: IO[bytes]) -> AsyncIterator[bytes]:
    """A file bit by bit."""
    with stream:
        while chunk := await asyncio.to_thread(stream.read, CHUNK):
            yield chunk
