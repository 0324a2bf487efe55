"""Jobs as other machines may ask for them: what one machine does is told in the store that all of them share.

``jobs/ID/job.json`` says whose it is and how far; ``results-N.jsonl`` are its lines, in parts, since a store takes no
more to a file; ``marked.zip`` is there at the end; ``end`` is put there by whoever takes the job back.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wam.service.problems import Problem
from wam.service.shared import Store

SECONDS = 1.0  # between two notes of one job
LOST_SECONDS = 150.0  # without a note, after which its machine is taken for gone
CHUNK = 1 << 16
_ID = re.compile(r"[A-Za-z0-9_-]{16}")


@dataclass
class Notes:
    """What was told of one job: lines that are still to be, how many parts there are, and when."""

    fresh: list[str] = field(default_factory=list)
    parts: int = 0
    last: float = 0.0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(frozen=True)
class FarJob:
    """A job of another machine, as it was last told."""

    id: str
    client: str
    said: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """For the answer."""
        return self.said


class FarJobs:
    """The jobs in a store; for the thread of an event loop."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def note(
        self, id: str, client: str, said: dict[str, Any], notes: Notes, *, now: bool = False,
        archive: Path | None = None,
    ) -> bool:  # fmt: skip
        """Tells how far a job is, unless that was done a moment ago; ``now`` in any case. False where somebody has
        taken the job back."""
        if not now and time.monotonic() - notes.last < SECONDS:
            return True
        notes.last = time.monotonic()
        async with notes.lock:
            lines, notes.fresh = notes.fresh, []
            notes.parts += bool(lines)
            return await asyncio.to_thread(self._note, id, client, said, lines, notes.parts, archive)

    def _note(
        self, id: str, client: str, said: dict[str, Any], lines: Sequence[str], part: int, archive: Path | None
    ) -> bool:
        if lines:
            self._store.put(f"jobs/{id}/results-{part:06d}.jsonl", "".join(lines).encode())
        if archive is not None:
            self._store.put_file(f"jobs/{id}/marked.zip", str(archive))
        content = {"client": client, "at": time.time(), "said": said}
        self._store.put(f"jobs/{id}/job.json", json.dumps(content, ensure_ascii=True).encode())
        return self._store.get(f"jobs/{id}/end") is None

    async def find(self, id: str) -> FarJob | None:
        """A job of any machine; one that its machine was lost with has failed."""
        if not _ID.fullmatch(id):
            return None
        content = await asyncio.to_thread(self._store.get, f"jobs/{id}/job.json")
        if content is None:
            return None
        values = json.loads(content)
        said = values["said"]
        if said["state"] == "running" and values["at"] < time.time() - LOST_SECONDS:
            said = {**said, "state": "failed"}
        return FarJob(id, values["client"], said)

    async def end(self, id: str) -> None:
        """Takes a job back: its machine removes it when it sees that, and at once what is done."""
        found = await self.find(id)
        if found is not None and found.said["state"] == "running":
            await asyncio.to_thread(self._store.put, f"jobs/{id}/end", b"")
        else:
            await self.remove(id)

    async def remove(self, id: str) -> None:
        """Removes all of a job."""
        await asyncio.to_thread(self._store.remove, f"jobs/{id}")

    async def results(self, job: FarJob) -> AsyncIterator[bytes]:
        """Its lines so far."""
        for part in await asyncio.to_thread(self._store.list, f"jobs/{job.id}"):
            if part.name.endswith(".jsonl"):
                lines: bytes | None = await asyncio.to_thread(self._store.get, part.name)
                yield lines or b""

    async def archive(self, job: FarJob) -> AsyncIterator[bytes]:
        """Its marked pictures."""
        try:
            stream = await asyncio.to_thread(self._store.open, f"jobs/{job.id}/marked.zip")
        except FileNotFoundError:
            return
        with stream:
            while chunk := await asyncio.to_thread(stream.read, CHUNK):
                yield chunk

    async def sweep(self, seconds: float) -> None:
        """Removes jobs of which nothing was told for so long; nothing where the store does not answer."""
        try:
            for one in await asyncio.to_thread(self._store.list, "jobs"):
                if one.name.endswith("/job.json") and one.when < time.time() - seconds:
                    await asyncio.to_thread(self._store.remove, one.name.removesuffix("/job.json"))
        except Problem:
            return
