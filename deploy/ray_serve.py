"""The service on a Ray cluster: each replica is a whole service with workers of its own, behind Ray Serve's proxies.

    pip install '.[service,ray,postgres,redis]'   # on every machine of the cluster
    serve run --app-dir deploy ray_serve:service registry=postgresql://... shared=/mnt/wam rates=redis://... api_keys=/mnt/wam/api-keys.json replicas=4

What replicas have in common is named as for several machines without Ray (docs/serve.md#several-machines).
"""  # noqa: E501 - a command line

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from ray import serve

from wam.errors import OptionsError
from wam.models.catalogue import DEFAULT

MEMORY = 4 << 30  # bytes of a worker process at most, as of ``wam serve``


class Options(BaseModel):
    """Of ``serve run``, as NAME=VALUE. ``replicas``: services; ``workers``: processes that read and mark in each, so
    many CPUs are asked for; ``gpus``: of each, for which ``device`` has to be cuda or auto. The others are those of
    ``wam serve``."""

    model_config = ConfigDict(extra="forbid")

    registry: str
    shared: str
    rates: str | None = None
    api_keys: Path
    key_file: Path | None = None
    model: str = DEFAULT
    device: str = "cpu"
    replicas: int = Field(2, ge=1)
    workers: int = Field(2, ge=1)
    gpus: float = Field(0, ge=0)
    rate: int = Field(30, ge=1)
    fetch_urls: bool = False


def service(options: Options) -> serve.Application:
    """The application that Ray Serve runs."""
    if options.replicas > 1 and options.registry.startswith("sqlite"):
        raise OptionsError("registry: expected one that several machines can write to, found SQLite; take PostgreSQL")

    def application() -> Any:  # Ray Serve calls functions only to get one, and takes other callables for one
        return replica_of(options)

    replica: Any = serve.ingress(application)(_Replica)
    return serve.deployment(
        name="wam",
        num_replicas=options.replicas,
        max_ongoing_requests=1000,  # the service itself says when it has no room, with 429
        ray_actor_options={"num_cpus": options.workers, "num_gpus": options.gpus},
        health_check_timeout_s=30,
        graceful_shutdown_timeout_s=30,
    )(replica).bind()


class _Replica:
    """One service, which Ray Serve asks over ASGI."""


def replica_of(options: Options) -> Any:
    """The application of one replica, with its workers started."""
    from payload.registry import Registry
    from wam.cli import common
    from wam.service.api_keys import KeyStore
    from wam.service.app import create_app
    from wam.service.server import build, log_to_standard_error
    from wam.service.settings import Limits, Settings
    from wam.service.setup import Accelerators, Setup, accelerators, default_batch

    log_to_standard_error()
    limits = Limits(memory=MEMORY, address_rate=options.rate)
    settings = Settings(limits, fetch_urls=options.fetch_urls, shared=options.shared, rates=options.rates)
    load = common.marker_loader(options.model, options.device, [*common.read_keys(options.key_file), None])
    found = accelerators() if options.gpus else Accelerators()
    setup = Setup(common.single_threaded(load), options.registry, limits.max_pixels, limits.max_frames, found.gpus)
    house = build(
        setup, options.workers, Registry.open(options.registry), settings, batch=default_batch(options.device, found)
    )
    house.pool.start()
    app = create_app(house, KeyStore(options.api_keys))
    life = app.router.lifespan_context

    @asynccontextmanager
    async def whole_life(of: Any) -> AsyncIterator[None]:
        try:
            async with life(of):
                yield
        finally:
            house.pool.close()

    app.router.lifespan_context = whole_life
    return app
