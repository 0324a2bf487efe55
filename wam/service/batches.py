"""Jobs: many pictures in one upload, read or marked one after another behind all other requests, with progress.

A job belongs to the key that started it and to this process: what is not done when the service ends is not done.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import secrets
import shutil
import threading
import time
import traceback
import zipfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Annotated, Any, Literal

from typing_extensions import TypedDict

from wam.append_log import append
from wam.errors import show_name
from wam.pictures.kinds import READ_SUFFIXES
from wam.service.far_jobs import FarJob, FarJobs, Notes
from wam.service.kept import PrivateFolder
from wam.service.problems import Problem, bad_request, too_many, unavailable
from wam.service.settings import Limits

LOG = logging.getLogger("wam.service")
FAULT = "the service failed; its log says where"
CHUNK = 1 << 16
MARKED = "marked.zip"  # of a job that marks, in its folder
Kind = Literal["detect", "embed"]
State = Literal["running", "done", "failed", "ended"]


class JobObject(TypedDict):
    """How far a job is."""

    id: str
    kind: Annotated[Kind, "whether it reads pictures or marks them"]
    state: Annotated[State, "failed: the service could not go on with it; ended: taken back before it was done"]
    total: Annotated[int, "pictures in the upload"]
    done: Annotated[int, "of which so many were worked on"]
    found: Annotated[int, "pictures with a watermark, of a job that reads"]
    marked: Annotated[int, "pictures that were marked, of a job that marks"]
    failed: Annotated[int, "pictures that could not be read or marked"]
    passed_over: Annotated[int, "files that are named as no kind of picture"]
    results: Annotated[str, "link of what was said of each picture so far, one JSON object a line"]
    files: Annotated[str | None, "link of a ZIP archive of the marked pictures, when a job that marks is done"]


@dataclass
class Job:
    """One upload and what became of it."""

    id: str
    client: str
    folder: Path
    kind: Kind = "detect"
    total: int = 0
    done: int = 0
    found: int = 0
    marked: int = 0
    failed: int = 0
    passed_over: int = 0
    state: State = "running"
    ended_at: float | None = None
    task: asyncio.Task[None] | None = field(default=None, repr=False)
    kept: dict[str, Path] = field(default_factory=dict, repr=False)  # marked pictures by the names they will have
    notes: Notes = field(default_factory=Notes, repr=False)  # for other machines, where there are some
    _bytes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def results(self) -> Path:
        """JSON Lines, which grow."""
        return self.folder / "results.jsonl"

    def to_dict(self) -> JobObject:
        """For the answer."""
        return {
            "id": self.id,
            "kind": self.kind,
            "state": self.state,
            "total": self.total,
            "done": self.done,
            "found": self.found,
            "marked": self.marked,
            "failed": self.failed,
            "passed_over": self.passed_over,
            "results": f"/v1/jobs/{self.id}/results",
            "files": f"/v1/jobs/{self.id}/files" if self.archive is not None else None,
        }

    @property
    def archive(self) -> Path | None:
        """The marked pictures, None as long as there are none to be fetched."""
        return self.folder / MARKED if self.state == "done" and self.kind == "embed" else None

    def new_file(self) -> Path:
        """The name of a file in the folder that is not there yet."""
        return self.folder / secrets.token_hex(16)

    def keep(self, place: Path, content: bytes, most: int) -> None:
        """Writes a marked picture; raises ``Problem`` for more than ``most`` bytes of them in all, or a full disk."""
        with self._lock:
            if self._bytes + len(content) > most:
                raise Problem(
                    413, "too-large", f"job: expected at most {most:,} bytes of marked pictures, found more; send less"
                )
            self._bytes += len(content)
        try:
            handle = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
        except OSError:
            raise unavailable("job: expected room for a marked picture, found none; tell who runs this") from None

    def drop(self, place: Path) -> None:
        """Removes what was written of a picture that was not marked after all."""
        with suppress(OSError):
            size = place.stat().st_size
            place.unlink()
            with self._lock:
                self._bytes -= size

    def pack(self) -> None:
        """Puts the marked pictures into one archive, and removes them one by one as they are in it."""
        with zipfile.ZipFile(self.folder / MARKED, "w", zipfile.ZIP_STORED) as archive:
            for name, place in self.kept.items():
                archive.write(place, name)
                place.unlink()


WorkOne = Callable[[Job, bytes, str], Awaitable[dict[str, Any]]]
Check = Callable[[list[str]], None]


class Jobs:
    """All jobs of a service; for the thread of its event loop."""

    def __init__(self, folder: PrivateFolder, limits: Limits, at_once: int, *, far: FarJobs | None = None) -> None:
        self._folder, self._limits, self._at_once, self._far = folder, limits, at_once, far
        self._jobs: dict[str, Job] = {}

    async def start(
        self,
        client: str,
        uploads: Sequence[tuple[str, IO[bytes]]],
        work_one: WorkOne,
        *,
        kind: Kind = "detect",
        check: Check | None = None,
    ) -> Job:
        """Takes an archive (ZIP) or files over and begins; raises ``Problem``. ``work_one`` answers with the contract's
        object for a picture of this name; ``check`` may refuse the names of all, before the first is worked on."""
        await self.sweep()
        if sum(job.state == "running" for job in self._jobs.values()) >= self._limits.jobs:
            raise too_many(f"jobs: expected at most {self._limits.jobs} at a time, found more; wait for one to end", 60)
        place = self._folder.new_file()
        place.mkdir(mode=0o700)
        job = Job(secrets.token_urlsafe(12), client, place, kind)
        self._jobs[job.id] = job
        try:
            members, job.passed_over = await asyncio.to_thread(self._take_over, job, uploads)
            if check is not None:
                check([name for _, name in members])
        except BaseException:
            await self._remove(job)
            raise
        job.total = len(members)
        await self._tell(job, now=True)
        job.task = asyncio.create_task(self._run(job, members, work_one))
        return job

    async def find(self, id: str, client: str, *, any_client: bool) -> Job | FarJob:
        """A job of this client's, or of any, here or on another machine; raises ``Problem``."""
        job: Job | FarJob | None = self._jobs.get(id)
        if job is None and self._far is not None:
            job = await self._far.find(id)
        if job is None or not (any_client or job.client == client):
            raise Problem(404, "not-found", "job: expected one of yours, found none; results are kept for a while only")
        return job

    def results(self, job: Job | FarJob) -> AsyncIterator[bytes]:
        """What was said of its pictures so far, one JSON object a line."""
        return chunks(job.results) if isinstance(job, Job) else self._there.results(job)

    def archive(self, job: Job | FarJob) -> AsyncIterator[bytes] | None:
        """The pictures that it marked; None as long as there are none to be fetched."""
        if isinstance(job, Job):
            return None if job.archive is None else chunks(job.archive)
        return None if job.said["files"] is None else self._there.archive(job)

    @property
    def _there(self) -> FarJobs:
        assert self._far is not None, "a job of another machine comes from what is told of it"
        return self._far

    async def end(self, job: Job | FarJob) -> None:
        """Takes a job back: nothing more of it is read, and what was found is removed."""
        if isinstance(job, FarJob):
            await self._there.end(job.id)
            return
        if job.task is not None:
            job.task.cancel()
            with suppress(asyncio.CancelledError):
                await job.task
        if job.state == "running":
            job.state = "ended"
        await self._remove(job)

    async def sweep(self) -> None:
        """Removes jobs that were done long ago, and tells that the others go on."""
        old = time.monotonic() - self._limits.job_seconds
        for job in [one for one in self._jobs.values() if one.ended_at is not None and one.ended_at < old]:
            await self._remove(job)
        if self._far is not None:
            for job in [one for one in self._jobs.values() if one.state == "running"]:
                if not await self._tell(job, now=True):
                    await self.end(job)
            await self._far.sweep(self._limits.job_seconds)

    async def close(self) -> None:
        """Ends all."""
        for job in list(self._jobs.values()):
            await self.end(job)

    async def _remove(self, job: Job) -> None:
        self._jobs.pop(job.id, None)
        await asyncio.to_thread(shutil.rmtree, job.folder, ignore_errors=True)
        if self._far is not None:
            with suppress(Problem):  # what stays there is swept later
                await self._far.remove(job.id)

    async def _tell(self, job: Job, *, now: bool = False) -> bool:
        """Tells other machines how far a job is; False where one of them has taken it back. A store that does not
        answer for a moment holds nothing up."""
        if self._far is None:
            return True
        said: dict[str, Any] = dict(job.to_dict())
        try:
            return await self._far.note(job.id, job.client, said, job.notes, now=now, archive=job.archive)
        except Problem:
            return True

    def _take_over(self, job: Job, uploads: Sequence[tuple[str, IO[bytes]]]) -> tuple[list[tuple[Path, str]], int]:
        """Copies an upload to the job's folder; pictures as a file of it each, and a name, and how many were no
        pictures. A file beside members of an archive is itself one."""
        members: list[tuple[Path, str]] = []
        passed_over = 0
        for number, (name, stream) in enumerate(uploads):
            copy = job.folder / str(number)
            with open(copy, "xb") as target:
                shutil.copyfileobj(stream, target)
            is_archive = zipfile.is_zipfile(copy) and PurePosixPath(name).suffix.lower() not in READ_SUFFIXES
            names = list(_names_in(copy, name)) if is_archive else [name]
            wanted = [one for one in names if PurePosixPath(one).suffix.lower() in READ_SUFFIXES]
            passed_over += len(names) - len(wanted)
            members += [(copy, one) for one in wanted]
            if len(members) > self._limits.job_files:
                raise Problem(
                    413,
                    "too-large",
                    f"job: expected at most {self._limits.job_files:,} pictures, found more; send less",
                )
        if not members:
            raise bad_request("job: expected pictures or a ZIP archive with some, found none")
        return members, passed_over

    async def _run(self, job: Job, members: list[tuple[Path, str]], work_one: WorkOne) -> None:
        """Works on all, as many at a time as there are workers; results come as they are ready."""
        waiting = iter(members)

        async def work_some() -> None:
            for copy, name in waiting:  # shared: each is taken once
                said = await self._work(job, copy, name, work_one)
                line = json.dumps(said, ensure_ascii=True) + "\n"
                await asyncio.to_thread(append, job.results, line)
                if self._far is not None:
                    job.notes.fresh.append(line)
                job.done += 1
                job.failed += said["error"] is not None
                job.found += bool(said.get("watermarks"))
                job.marked += job.kind == "embed" and said["error"] is None
                if not await self._tell(job):
                    raise _TakenBackError

        try:
            async with asyncio.TaskGroup() as group:  # where one fails, the others end
                for _ in range(self._at_once):
                    group.create_task(work_some())
            if job.kind == "embed":
                await asyncio.to_thread(job.pack)
            job.state = "done"
        except Exception as error:  # a full disk, say: whoever asks is told
            faults = error.exceptions if isinstance(error, ExceptionGroup) else (error,)
            job.state = "ended" if any(isinstance(one, _TakenBackError) for one in faults) else "failed"
            if job.state == "failed":
                _log_fault(faults[0])
        job.ended_at = time.monotonic()
        for copy in {copy for copy, _ in members}:
            copy.unlink(missing_ok=True)
        if job.state == "ended":
            await self._remove(job)
        else:
            await self._tell(job, now=True)

    async def _work(self, job: Job, copy: Path, name: str, work_one: WorkOne) -> dict[str, Any]:
        try:
            content = await asyncio.to_thread(_content_of, copy, name, self._limits.max_bytes)
            return await work_one(job, content, name)
        except Problem as problem:
            return failed(name, problem.detail)
        except Exception as error:  # of one picture: the others are not to wait for it in vain
            _log_fault(error)
            return failed(name, f"{show_name(name)}: {FAULT}")


class _TakenBackError(Exception):
    """A job that was taken back on another machine."""


async def chunks(path: Path) -> AsyncIterator[bytes]:
    """A file bit by bit; nothing where there is none."""
    with suppress(FileNotFoundError), open(path, "rb") as stream:
        while chunk := await asyncio.to_thread(stream.read, CHUNK):
            yield chunk


def checked_outputs(names: Sequence[str], format: str | None) -> list[str]:
    """What marked pictures are called in an archive, each below its top whatever the names say; raises ``Problem`` for
    two of one name, also where a file system takes them for one.

    >>> checked_outputs(["a/b.png", "../c.jpg", "C:\\\\d.png"], None), checked_outputs(["a/b.tif"], "png")
    (['a/b.png', 'c.jpg', 'C_/d.png'], ['a/b.png'])
    """
    outputs = []
    for name in names:
        parts = [part for part in name.replace("\\", "/").split("/") if part.strip(". ")]
        path = PurePosixPath(*([part.replace(":", "_") for part in parts] or ["upload"]))
        outputs.append(str(path if format is None else path.with_suffix(f".{format}")))
    twice = next((name for name, count in Counter(map(str.casefold, outputs)).items() if count > 1), None)
    if twice is not None:
        raise bad_request(f"job: expected another name for each picture, found {show_name(twice)} twice; rename one")
    return outputs


def _log_fault(error: BaseException) -> None:
    """Where it was, and no message: that may hold what is in a picture or its record."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    LOG.error(json.dumps({"fault": type(error).__name__, "at": f"{where.filename}:{where.lineno}"}))


def failed(name: str, line: str) -> dict[str, Any]:
    """The object for a picture that could not be read."""
    return {
        "image": show_name(name), "width": None, "height": None, "model": "", "watermarks": [], "complete": False,
        "reason": None, "schema": 1, "error": show_name(line), "label": None,
    }  # fmt: skip


def _names_in(archive: Path, name: str) -> Iterator[str]:
    """The files of an archive; folders, and what systems hide there, left out."""
    try:
        with zipfile.ZipFile(archive) as opened:
            for one in opened.infolist():
                path = PurePosixPath(one.filename)
                if not one.is_dir() and not any(part.startswith((".", "__MACOSX")) for part in path.parts):
                    yield one.filename
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise bad_request(f"{show_name(name)}: expected a ZIP archive, found a damaged one; pack it again") from error


def _content_of(copy: Path, name: str, most: int) -> bytes:
    """A picture of an upload: never more than is allowed is unpacked, whatever the archive says of its size."""
    too_large = Problem(413, "too-large", f"{show_name(name)}: expected at most {most:,} bytes, found more")
    if not zipfile.is_zipfile(copy):
        if copy.stat().st_size > most:
            raise too_large
        return copy.read_bytes()
    try:
        with zipfile.ZipFile(copy) as opened:
            if name not in opened.NameToInfo:  # a picture that is an archive as well
                return copy.read_bytes()
            with opened.open(name) as stream:
                content = stream.read(most + 1)
    except (zipfile.BadZipFile, OSError, RuntimeError, ValueError, NotImplementedError, EOFError) as error:
        line = f"{show_name(name)}: expected a file that can be unpacked, found a damaged or encrypted one"
        raise Problem(422, "picture", line) from error
    except Exception as error:  # zlib and lzma have errors of their own
        raise Problem(
            422, "picture", f"{show_name(name)}: expected a file that can be unpacked, found a damaged one"
        ) from error
    if len(content) > most:
        raise too_large
    return content
