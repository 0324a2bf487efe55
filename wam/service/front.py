"""The page for people, and what machines ask first: is it there, what is it, how is it."""

from __future__ import annotations

import asyncio
from importlib import resources
from typing import Annotated

from fastapi import Request
from fastapi.responses import JSONResponse, Response
from typing_extensions import TypedDict

from payload.errors import RegistryError
from wam import __version__
from wam.pipeline.chance import LEAST, smallest_shown
from wam.service.house import House, caller_of
from wam.service.metrics import MEDIA_TYPE as METRICS_TYPE
from wam.service.problems import unavailable
from wam.service.roles import Role, View

NO_LINK = 0  # a word to ask a registry for, only to see whether it answers


class About(TypedDict):
    """What this service is and takes."""

    service: str
    version: str
    model: str
    role: Annotated[Role, "of the caller"]
    view: Annotated[View, "that the caller is shown"]
    fetch_urls: Annotated[bool, "whether /v1/detect/url is on"]
    signs: Annotated[bool, "whether /v1/embed signs manifests (c2pa)"]
    max_bytes: int
    max_pixels: int
    seconds: Annotated[float, "of search at most"]
    chance_log10: Annotated[float, "people are told of no smaller chance of a mark, as log10: this one was tested"]
    chance_shown: Annotated[str, "the same as text"]


class Front:
    """Their handlers."""

    def __init__(self, house: House) -> None:
        self.house = house

    async def page(self) -> Response:
        """The page for people."""
        return _asset("index.html", "text/html")

    async def page_style(self) -> Response:
        """Its style."""
        return _asset("page.css", "text/css")

    async def page_script(self) -> Response:
        """Its program."""
        return _asset("page.js", "text/javascript")

    async def page_texts(self) -> Response:
        """What it says."""
        return _asset("texts.js", "text/javascript")

    async def page_icon(self) -> Response:
        """Its icon."""
        return _asset("icon.svg", "image/svg+xml")

    async def healthz(self) -> Response:
        """Whether the process answers."""
        return JSONResponse({"status": "ok"})

    async def readyz(self) -> Response:
        """Whether there is a worker and a registry to serve with."""
        if not self.house.pool.pids:
            raise unavailable("workers: expected one that is ready, found none; wait")
        try:
            await asyncio.to_thread(self.house.registry.find, NO_LINK)
        except RegistryError:
            raise unavailable("registry: expected it to answer, found that it does not; wait") from None
        return JSONResponse({"status": "ready"})

    async def metrics(self) -> Response:
        """Numbers for Prometheus."""
        return Response(self.house.metrics.page(), media_type=METRICS_TYPE)

    async def about(self, request: Request) -> Response:
        """What this service is, and what the caller may see."""
        settings = self.house.settings
        said: About = {
            "service": "wam",
            "version": __version__,
            "model": self.house.pool.model,
            "role": caller_of(request).role,
            "view": self.house.view(request),
            "fetch_urls": settings.fetch_urls,
            "signs": settings.signer is not None,
            "max_bytes": settings.limits.max_bytes,
            "max_pixels": settings.limits.max_pixels,
            "seconds": settings.limits.seconds,
            "chance_log10": LEAST,
            "chance_shown": smallest_shown(),
        }
        return JSONResponse(said)


def _asset(name: str, kind: str) -> Response:
    content = resources.files("wam.service").joinpath("page", name).read_bytes()
    return Response(content, media_type=f"{kind}; charset=utf-8", headers={"Cache-Control": "no-cache"})
