"""What a deployment allows and how much: every bound of the service, said once."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from pathlib import Path

from wam.errors import OptionsError
from wam.provenance.credentials import Credentials
from wam.service.roles import View


@dataclass(frozen=True)
class Limits:
    """Bounds that hold for every request.

    ``max_bytes`` of a body, ``max_pixels`` of a picture and all its frames together, ``max_frames`` of an animation:
    more is refused before it is decoded. ``seconds``: a search begins no further look after them; ``mark_seconds``: a
    picture that is being marked has this long; with ``grace`` seconds more for decoding and encoding a worker is killed
    that is not done. ``memory``: bytes of a worker process above which it is killed. ``upload_seconds``: a body has to
    be there whole. ``queue``: requests with a picture that may wait beside those that are worked on; ``at_once``: of
    them for one client. ``address_rate`` and ``key_rate``: requests a minute for each address without a key, and for
    each key that states no rate of its own; ``wrong_keys``: a minute for each address. ``short_pixels``: larger
    pictures are never searched by the worker that is kept for short ones. ``recycle``: tasks after which a worker makes
    room for a new one. ``job_bytes`` of the body and ``job_files`` of the pictures of a job, ``job_result_bytes`` of
    what one marks, how many ``jobs`` there are at a time, and ``job_seconds`` that their results are kept.
    """

    max_bytes: int = 32 << 20
    max_pixels: int = 50_000_000
    max_frames: int = 100
    seconds: float = 20.0
    mark_seconds: float = 60.0
    grace: float = 20.0
    memory: int = 4 << 30
    upload_seconds: float = 60.0
    queue: int = 16
    at_once: int = 4
    address_rate: int = 30
    key_rate: int = 600
    wrong_keys: int = 10
    short_pixels: int = 3_000_000
    recycle: int = 1000
    job_bytes: int = 512 << 20
    job_files: int = 10_000
    job_result_bytes: int = 2 << 30
    jobs: int = 8
    job_seconds: float = 3600.0

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            least = 0 if one.name in ("queue", "grace") else 1e-3
            if not least <= value < math.inf:
                raise OptionsError(f"{one.name.replace('_', '-')}: expected a number above 0, found {value:g}")


@dataclass(frozen=True)
class Settings:
    """A deployment. ``public_view``: what callers without a key are shown; ``fetch_urls``: pictures may be named by
    URL; ``link_seconds``: how long overlays and masks can be fetched, ``link_bytes``: how much of them is kept;
    ``open_metrics``: metrics without a key; ``jobs``: a folder where jobs lie until their results are over, so that
    they outlive the process, None for one that goes with it. Of several machines that serve as one: ``shared``, an
    fsspec URL or folder for what any of them may be asked for, jobs too, and ``rates``, a URL of the package limits
    where requests are counted. ``sweep_seconds``: between looks at what was kept long enough, and at jobs that nobody
    works on; ``again_seconds``: before a picture of a job is tried again that met what passes, a registry that is away,
    say. ``signer``: who signs what is marked with ``c2pa``, None where nothing is signed."""

    limits: Limits = Limits()
    public_view: View = View.PUBLIC
    fetch_urls: bool = False
    link_seconds: float = 600.0
    link_bytes: int = 512 << 20
    open_metrics: bool = False
    jobs: Path | None = None
    shared: str | None = None
    rates: str | None = None
    sweep_seconds: float = 30.0
    again_seconds: tuple[float, ...] = (1.0, 5.0, 20.0, 60.0)
    signer: Credentials | None = None
