"""Runs the service: workers, application and HTTP server together, until it is told to end."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from payload.registry import Registry
from wam.errors import WamError
from wam.service.api_keys import KeyStore
from wam.service.app import create_app
from wam.service.fetch_url import Fetcher
from wam.service.house import House
from wam.service.pool import Pool
from wam.service.settings import Settings
from wam.service.setup import Setup

HEAD_SECONDS = 15  # for the head of a request to be there
KEEP_SECONDS = 15  # that a connection may be idle
END_SECONDS = 10  # for requests to be answered when the service ends
CONNECTIONS = 512  # at a time; more are answered 503
HEAD_BYTES = 32 << 10


class PatientProtocol(H11Protocol):
    """The server's HTTP, but that the head of a request, too, has to come within a time, since a connection that says
    a byte now and then would stay for ever, and that it logs no request, which the gate does."""

    patience = HEAD_SECONDS
    _timer: asyncio.TimerHandle | None = None

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.access_log = False  # it would hold addresses and queries, however logging is set up

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._is_busy():
            self._stop()
        elif self._timer is None:
            self._wait()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self._is_busy():
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    def _is_busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _wait(self) -> None:
        self._stop()
        self._timer = self.loop.call_later(self.patience, self.give_up)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def give_up(self) -> None:
        """Closes a connection that has not asked for anything in time."""
        if not self._is_busy() and self.transport is not None:
            self.transport.close()


def build(
    setup: Setup, workers: int, registry: Registry, settings: Settings, *, batch: int = 1,
    fetcher: Fetcher | None = None,
) -> House:  # fmt: skip
    """A service with its pool, which is not started yet; ``batch``: pictures that a worker reads together."""
    limits = settings.limits
    pool = Pool(
        setup, workers, memory=limits.memory, short_pixels=limits.short_pixels, recycle=limits.recycle, batch=batch
    )
    return House(pool, registry, settings, fetcher=fetcher)


def config_of(house: House, keys: KeyStore, *, host: str, port: int, proxies: str = "", **more: Any) -> uvicorn.Config:
    """The server's settings. ``proxies``: addresses that are believed when they say who asks, apart by commas."""
    return uvicorn.Config(
        create_app(house, keys),
        host=host,
        port=port,
        http=PatientProtocol,
        ws="none",
        lifespan="on",
        access_log=False,
        server_header=False,
        log_config=None,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=proxies,
        limit_concurrency=CONNECTIONS,
        timeout_keep_alive=KEEP_SECONDS,
        timeout_graceful_shutdown=END_SECONDS,
        h11_max_incomplete_event_size=HEAD_BYTES,
        **more,
    )


def run(house: House, keys: KeyStore, *, host: str, port: int, proxies: str = "") -> None:
    """Serves until a signal ends it; raises ``WamError`` where it cannot begin."""
    log_to_standard_error()
    try:
        house.pool.start()
        server = uvicorn.Server(config_of(house, keys, host=host, port=port, proxies=proxies))
        try:
            server.run()
        except SystemExit as error:  # how uvicorn says that it could not take the port
            raise WamError(f"{host}:{port}: expected an address that can be listened on, found another") from error
    finally:
        house.pool.close()
        house.folder.close()


def log_to_standard_error() -> None:
    """One JSON object a line, with the time."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines())
    for name, level in (("wam.service", logging.INFO), ("uvicorn", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # what is wrong with a form is said to who sent it
    root = logging.getLogger()
    if not root.handlers:  # else Python prints what other packages say as it is
        others = logging.StreamHandler(sys.stderr)
        others.setFormatter(_Places())
        others.setLevel(logging.WARNING)
        root.addHandler(others)


class _Lines(logging.Formatter):
    """What the gate says is JSON already; other lines, which are ours or the server's, are put into it. No traceback:
    its last line may hold what was in a request."""

    def format(self, record: logging.LogRecord) -> str:
        text = record.getMessage()
        said: dict[str, Any] = json.loads(text) if text.startswith("{") else {"message": text}
        return json.dumps({"time": self.formatTime(record), "level": record.levelname.lower(), **said})


class _Places(logging.Formatter):
    """Of what other packages say only where they do: it may hold what was in a request."""

    def format(self, record: logging.LogRecord) -> str:
        said = {"fault": record.name, "at": f"{record.pathname}:{record.lineno}"}
        return json.dumps({"time": self.formatTime(record), "level": record.levelname.lower(), **said})
