"""What is done about one job from its first picture to its last: pictures one after another, tried again where
something was away for a moment, as long as the key that started it may."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from wam.errors import show_name
from wam.service.job import Job, Kind, State, TakenError
from wam.service.job_files import Member
from wam.service.job_uploads import Uploads
from wam.service.kept import PrivateFolder
from wam.service.problems import Problem
from wam.service.settings import Settings

LOG = logging.getLogger("wam.service")
FAULT = "the service failed; its log says where"
REVOKED = "key: expected the one that started the job to be valid, found it revoked; what was done by then is kept"
DEADLY = "the services that worked on it ended, one after another"
AGAIN = "Retry-After"  # what a problem has that passes: a registry, say, that does not answer for a moment
TRIES = 5  # times that a job is taken up without a picture that is done in between: it may be what ends services
WorkOne = Callable[[Job, int, bytes, Member], Awaitable[dict[str, Any]]]
Failed = Callable[[Job, int, str], Mapping[str, Any]]
MayGoOn = Callable[[str], bool]


class JobWork:
    """How jobs are worked on, by the service of the name ``owner``; ``left`` is told of those that are not its own any
    more."""

    def __init__(
        self, owner: str, folder: PrivateFolder, settings: Settings, at_once: int, left: Callable[[Job], object]
    ) -> None:
        self._owner, self._folder, self._settings, self._at_once, self._left = owner, folder, settings, at_once, left
        self._kinds: dict[Kind, tuple[WorkOne, Failed]] = {}
        self._may_go_on: MayGoOn = lambda client: True

    def can(self, kind: Kind, work_one: WorkOne, failed: Failed) -> None:
        """See ``Jobs.can``."""
        self._kinds[kind] = work_one, failed

    def only_for(self, may_go_on: MayGoOn) -> None:
        """See ``Jobs.only_for``."""
        self._may_go_on = may_go_on

    def knows(self, kind: str) -> bool:
        """Whether jobs of a kind can be worked on."""
        return kind in self._kinds

    async def run(self, job: Job) -> None:
        """Works on all that is not done, as many at a time as there are workers."""
        copies, uploads = self._folder.new_file(), None
        try:
            if job.tries > TRIES:
                raise _StoppedError("failed", DEADLY)
            with suppress(Problem):
                await job.tell(self._owner, whole=True)
            left = [number for number in range(len(job.plan.members)) if number not in job.done]
            if left:
                uploads = await asyncio.to_thread(self._opened, job, copies)
                await self._work_on(job, left, uploads)
            await self._finish(job, "done")
        except Exception as error:  # a full disk, say: whoever asks is told
            await self._give_up(job, error)
        finally:
            if uploads is not None:
                uploads.close()
            shutil.rmtree(copies, ignore_errors=True)

    async def leave(self, job: Job) -> None:
        """A job that is not this service's any more: what was taken back goes, what another goes on with stays."""
        job.state = "ended"
        self._left(job)
        with suppress(Problem):
            if await asyncio.to_thread(lambda: job.files.is_ended):
                await asyncio.to_thread(job.files.remove)

    async def _work_on(self, job: Job, left: Sequence[int], uploads: Uploads) -> None:
        waiting = iter(left)
        stopped: list[_StoppedError] = []

        async def work_some() -> None:
            for number in waiting:  # shared: each is taken once
                if stopped:
                    return
                try:
                    said = await self._said_of(job, number, uploads)
                except _StoppedError as error:  # what is being worked on beside it is done
                    stopped.append(error)
                    return
                job.add(number, said)
                with suppress(Problem):  # a store that does not answer for a moment holds nothing up
                    await job.tell(self._owner, whole=False)

        async with asyncio.TaskGroup() as group:  # where one fails, the others end
            for _ in range(self._at_once):
                group.create_task(work_some())
        if stopped:
            raise stopped[0]

    async def _finish(self, job: Job, state: State) -> None:
        """Packs what was marked and tells that it is over; a store that does not answer for a moment costs no job."""
        for pause in (*self._settings.again_seconds, None):
            try:
                await job.pack()
                await job.tell(self._owner, whole=True, state=state)
                break
            except Problem:
                if pause is None:
                    raise
                await asyncio.sleep(pause)
        with suppress(Problem):  # it goes with the results, then
            await asyncio.to_thread(job.files.remove_work, job.plan.uploads)

    async def _said_of(self, job: Job, number: int, uploads: Uploads) -> Mapping[str, Any]:
        """What is said of a picture; raises ``_StoppedError`` where nothing more is to be done for the job's key."""
        member, (work_one, failed) = job.plan.members[number], self._kinds[job.kind]
        for pause in (*self._settings.again_seconds, None):
            try:
                if not await asyncio.to_thread(self._may_go_on, job.client):
                    raise _StoppedError("stopped", REVOKED)
                content = await asyncio.to_thread(uploads.content, member.upload, member.name)
                return await work_one(job, number, content, member)
            except _StoppedError:
                raise
            except Problem as problem:
                if AGAIN not in problem.headers or pause is None:
                    return failed(job, number, problem.detail)
                await asyncio.sleep(pause)
            except Exception as error:  # of one picture: the others are not to wait for it in vain
                log_fault(error)
                return failed(job, number, f"{show_name(member.name)}: {FAULT}")
        raise AssertionError("the last attempt returns")

    async def _give_up(self, job: Job, error: Exception) -> None:
        """A job that cannot be gone on with, here or at all: what it has marked can be fetched."""
        faults = list(error.exceptions) if isinstance(error, ExceptionGroup) else [error]
        stopped = next((one for one in faults if isinstance(one, _StoppedError)), None)
        if stopped is not None:
            job.reason = stopped.reason
            try:
                await self._finish(job, stopped.state)
                return
            except Exception as fault:  # of the store, or it was taken back meanwhile
                faults = [fault]
        if any(isinstance(one, TakenError) for one in faults):
            await self.leave(job)
            return
        log_fault(faults[0])
        job.state, job.reason = "failed", job.reason or FAULT
        with suppress(Exception):  # the disk that is full, say: the sweep tells it later
            await job.pack()
            await job.tell(self._owner, whole=True)
            await asyncio.to_thread(job.files.remove_work, job.plan.uploads)

    def _opened(self, job: Job, copies: Path) -> Uploads:
        copies.mkdir(mode=0o700)
        places = [job.files.upload(number, copies) for number in range(job.plan.uploads)]
        return Uploads(places, self._settings.limits.max_bytes)


class _StoppedError(Exception):
    """A job that ends in another state than done, and why."""

    def __init__(self, state: State, reason: str) -> None:
        super().__init__(reason)
        self.state, self.reason = state, reason


def log_fault(error: BaseException) -> None:
    """Where it was, and no message: that may hold what is in a picture or its record."""
    steps = traceback.extract_tb(error.__traceback__)
    where = f"{steps[-1].filename}:{steps[-1].lineno}" if steps else None
    LOG.error(json.dumps({"fault": type(error).__name__, "at": where}))
