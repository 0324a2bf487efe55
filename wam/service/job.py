"""One job as the service that works on it knows it, and as it is told to all that share its store."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from typing_extensions import TypedDict

from wam.service.job_files import JobFiles, Plan, Standing, now
from wam.service.problems import Problem

NO_PLAN = Plan(None, (), 0)  # of a job whose upload is taken over
TELL_SECONDS = 1.0  # between two times that it is told how far a job is
Kind = Literal["detect", "embed"]
State = Literal["running", "done", "stopped", "failed", "ended"]


class JobObject(TypedDict):
    """How far a job is."""

    id: str
    kind: Annotated[Kind, "whether it reads pictures or marks them"]
    state: Annotated[
        State,
        "stopped: the key that started it was revoked; failed: the service could not go on with it; ended: taken back "
        "before it was done",
    ]
    reason: Annotated[str | None, "why it was stopped, or has failed"]
    total: Annotated[int, "pictures in the upload"]
    done: Annotated[int, "of which so many were worked on"]
    found: Annotated[int, "pictures with a watermark, of a job that reads"]
    marked: Annotated[int, "pictures that were marked, of a job that marks"]
    failed: Annotated[int, "pictures that could not be read or marked"]
    passed_over: Annotated[int, "files that are named as no kind of picture"]
    results: Annotated[str, "link of what was said of each picture so far, one JSON object a line"]
    files: Annotated[str | None, "link of a ZIP archive of the marked pictures, when a job that marks is over"]


@dataclass
class Job:
    """One upload and what became of it, by the service that works on it."""

    client: str
    files: JobFiles
    kind: Kind
    plan: Plan = NO_PLAN
    passed_over: int = 0
    claim: int = 0
    tries: int = 0
    done: set[int] = field(default_factory=set)
    found: int = 0
    failed: int = 0
    state: State = "running"
    reason: str | None = None
    packed: bool = False  # whether what was marked can be fetched
    task: asyncio.Task[None] | None = field(default=None, repr=False)
    kept: dict[int, str] = field(default_factory=dict, repr=False)  # what marked pictures are called, by number
    sizes: dict[int, int] = field(default_factory=dict, repr=False)  # of what is kept of them
    _fresh: dict[int, str] = field(default_factory=dict, repr=False)  # lines that are still to be told
    _parts: int = 0
    _told: float = 0.0
    _last: State | None = None  # that was told
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to be done, nor to be told."""
        return self.state != "running" and self._last == self.state

    @property
    def id(self) -> str:
        """Its name, which nobody can guess."""
        return self.files.id

    def to_dict(self) -> JobObject:
        """For the answer."""
        return self._said(self.state)

    def _said(self, state: State) -> JobObject:
        return {
            "id": self.id,
            "kind": self.kind,
            "state": state,
            "reason": self.reason,
            "total": len(self.plan.members),
            "done": len(self.done),
            "found": self.found,
            "marked": len(self.kept),
            "failed": self.failed,
            "passed_over": self.passed_over,
            "results": f"/v1/jobs/{self.id}/results",
            "files": f"/v1/jobs/{self.id}/files" if self.packed else None,
        }

    def count(self, number: int, said: Mapping[str, Any]) -> None:
        """Takes down what was said of a picture."""
        self.done.add(number)
        self.failed += said["error"] is not None
        self.found += bool(said.get("watermarks"))
        if self.kind == "embed" and said["error"] is None:
            self.kept[number] = said["output"]

    def add(self, number: int, said: Mapping[str, Any]) -> None:
        """The same, to be told as well."""
        self.count(number, said)
        self.tries = 0
        self._fresh[number] = json.dumps(said, ensure_ascii=True)

    async def keep(self, number: int, content: bytes, most: int) -> None:
        """Keeps a marked picture; raises ``Problem`` for more than ``most`` bytes of them in all."""
        if sum(self.sizes.values()) - self.sizes.get(number, 0) + len(content) > most:
            line = f"job: expected at most {most:,} bytes of marked pictures, found more; send less"
            raise Problem(413, "too-large", line)
        self.sizes[number] = len(content)
        await asyncio.to_thread(self.files.keep, number, content)

    async def pack(self) -> None:
        """Puts what was marked into one archive, as far as it goes."""
        if self.kind == "embed" and not self.packed:
            names = {number: self.kept[number] for number in sorted(self.kept)}
            await asyncio.to_thread(self.files.pack, names)
            self.packed = True

    async def drop(self, number: int) -> None:
        """Removes one that was not marked after all."""
        if self.sizes.pop(number, None) is not None:
            with suppress(Problem):
                await asyncio.to_thread(self.files.drop, number)

    async def tell(self, owner: str | None, *, whole: bool, state: State | None = None) -> None:
        """Puts into the store how far it is, unless that was done a moment ago; ``whole`` in any case. It is in another
        ``state`` when that was told. Raises ``TakenError`` where it is not this service's any more, and ``Problem``
        where the store does not answer."""
        if not whole and time.monotonic() - self._told < TELL_SECONDS:
            return
        async with self._lock:
            self._told = time.monotonic()
            state = state or self.state
            lines, self._fresh = self._fresh, {}
            try:
                await asyncio.to_thread(self._tell, owner, lines, state)
            except Problem:
                self._fresh = lines | self._fresh
                raise
            self.state = self._last = state

    def _tell(self, owner: str | None, lines: Mapping[int, str], state: State) -> None:
        if self.files.is_ended:
            raise TakenError("ended")
        if self.files.is_claimed(self.claim + 1):
            raise TakenError("claimed")
        if lines:
            self.files.put_lines(self.claim, self._parts, lines)
            self._parts += 1
        said: dict[str, Any] = dict(self._said(state))
        self.files.put_standing(Standing(self.client, said, now(), owner, self.claim, self.tries))


@dataclass(frozen=True)
class FarJob:
    """A job that another service works on, or that is done, as it was last told."""

    client: str
    files: JobFiles
    said: JobObject

    def to_dict(self) -> JobObject:
        """For the answer."""
        return self.said


class TakenError(Exception):
    """A job that was taken back (``ended``), or that another service goes on with (``claimed``)."""

    def __init__(self, how: Literal["ended", "claimed"]) -> None:
        super().__init__(how)
        self.how = how
