"""Jobs of the tests: archives that are sent, and waiting until they are done."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

from tests.wam.service.served import GENEROUS, Served
from wam.service.batches import Jobs
from wam.service.job import Job
from wam.service.job_files import Member
from wam.service.kept import PrivateFolder
from wam.service.roles import Role
from wam.service.settings import Settings
from wam.service.shared import Store


def archive(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in files.items():
            opened.writestr(name, content)
    return stream.getvalue()


def until(condition: Callable[[], Any], seconds: float = 60) -> Any:
    """What a condition comes to be, once it holds."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return found


def finished(served: Served, answer: Any, role: Role = Role.MARKER) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A job when it is done, and its results."""
    assert answer.status_code == 202, answer.text
    end = time.monotonic() + 60
    while (job := served[role].get(answer.headers["location"]).json())["state"] == "running":
        assert time.monotonic() < end
        time.sleep(0.05)
    lines = served[role].get(job["results"])
    assert lines.headers["content-type"] == "application/x-ndjson"
    return job, [json.loads(line) for line in lines.text.splitlines()]


def jobs_in(store: Store, folder: PrivateFolder) -> Jobs:
    """The jobs of a service that finds nothing in any picture."""
    jobs = Jobs(store, folder, Settings(GENEROUS, again_seconds=(0.05,)), 1)

    async def work_one(job: Job, number: int, content: bytes, member: Member) -> dict[str, Any]:
        return {"image": member.name, "error": None, "watermarks": []}

    def failed(job: Job, number: int, line: str) -> Mapping[str, Any]:
        return {"image": "", "error": line}

    jobs.can("detect", work_one, failed)
    return jobs
