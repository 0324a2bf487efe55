"""What the handlers share: workers, registry, what is kept for a while, and how each of them is asked."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from concurrent.futures import CancelledError
from typing import Any, TypeVar

from fastapi import Request

from payload.errors import RegistryError, RegistryFullError, UnknownLinkError
from payload.registry import Registry
from wam.errors import show_name
from wam.service.batches import Jobs
from wam.service.fetch_url import Fetcher
from wam.service.gate import Caller
from wam.service.kept import KeptFiles, PrivateFolder
from wam.service.messages import Message
from wam.service.metrics import Metrics
from wam.service.pool import Pool
from wam.service.problems import Problem, bad_request, unavailable
from wam.service.rates import Admission
from wam.service.roles import View, view_of
from wam.service.settings import Settings
from wam.service.shared import Results, SharedResults, Store
from wam.service.worker import ClosedError, DiedError, Lane, OverrunError

LOG = logging.getLogger("wam.service")
FAULT = "the service failed; its log says where"
Answer = TypeVar("Answer")


class House:
    """One service. ``fetcher``: what fetches pictures behind URLs, None for one of the settings."""

    def __init__(self, pool: Pool, registry: Registry, settings: Settings, *, fetcher: Fetcher | None = None) -> None:
        limits = settings.limits
        self.pool, self.registry, self.settings = pool, registry, settings
        self.fetcher = fetcher or Fetcher(max_bytes=limits.max_bytes, seconds=limits.upload_seconds)
        self.admission = Admission(limits.queue + pool.count, limits.at_once)
        self.metrics = Metrics(lambda: pool.waiting, lambda: len(pool.pids), lambda: self.admission.count)
        pool.restarted = self.metrics.restarted
        pool.together = self.metrics.together
        self.folder = PrivateFolder()
        store = None if settings.shared is None else Store(settings.shared)
        seconds, most = settings.link_seconds, settings.link_bytes
        self.kept: Results = (
            KeptFiles(self.folder, seconds=seconds, most=most)
            if store is None
            else SharedResults(store, seconds=seconds, most=most)
        )
        jobs = store or Store(str(settings.jobs or self.folder.path))
        self.jobs = Jobs(jobs, self.folder, settings, pool.count)

    def view(self, request: Request, asked: View | None = None) -> View:
        """What the caller of a request is shown."""
        return view_of(caller_of(request).role, public=self.settings.public_view, asked=asked)

    async def work(self, said: dict[str, Any], content: bytes, name: str, seconds: float, lane: Lane) -> Message:
        """What a worker makes of a picture; raises ``Problem``."""
        shown = show_name(name)
        try:
            answer = await asyncio.wrap_future(self.pool.submit(said, content, seconds=seconds, lane=lane))
        except OverrunError as error:
            if error.of == "time":
                line = f"expected a picture that is done within {seconds:g} s, found one that takes longer"
            else:
                line = "expected enough memory for the picture, found too little"
            raise Problem(422, "picture", f"{shown}: {line}, use a smaller copy") from None
        except DiedError:
            line = f"{shown}: expected a picture that can be read, found one that ended its readers, convert it first"
            raise Problem(422, "picture", line) from None
        except (ClosedError, CancelledError):
            raise unavailable("service: expected it to go on, found that it ends; ask again") from None
        state = answer.said.get("state")
        if state == "done":
            return answer
        if state == "refused":
            line = str(answer.said["line"])
            raise Problem(413 if answer.said.get("large") else 422, "picture", line)
        if state == "senseless":
            raise bad_request(str(answer.said["line"]))
        if state == "registry":
            raise unavailable("registry: expected it to answer, found that it does not; try again")
        LOG.error(json.dumps({"fault": "worker", "at": answer.said.get("where")}))
        raise Problem(500, "fault", FAULT)

    async def ask_registry(self, ask: Callable[[Registry], Answer]) -> Answer:
        """What the registry says, asked in a thread; raises ``Problem``."""
        try:
            return await asyncio.to_thread(ask, self.registry)
        except RegistryFullError:
            raise unavailable("registry: expected a free id, found all allocated; tell who runs this") from None
        except UnknownLinkError as error:
            raise Problem(404, "not-found", self._without_place(error)) from None
        except RegistryError as error:
            if "it cannot become" in str(error):
                raise Problem(409, "conflict", self._without_place(error)) from None
            LOG.error(json.dumps({"fault": type(error).__name__, "at": "registry"}))
            raise unavailable("registry: expected it to answer, found that it does not; try again") from None
        except ValueError as error:
            raise bad_request(show_name(str(error))) from None

    def _without_place(self, error: Exception) -> str:
        """The line without where the registry is, which is nobody's business here."""
        return show_name(str(error)).replace(f"registry {self.registry.name}: ", "registry: ")


def caller_of(request: Request) -> Caller:
    """Who asks, as the gate found."""
    caller: Caller = request.state.caller
    return caller
