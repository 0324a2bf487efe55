"""What every request passes before a handler sees it: is there such a route, who asks, may they, how often, is there
room; then its body is counted and timed as it comes. What is sent back gets the headers that keep browsers strict, and
one line is logged, which holds no picture, key, record, address or query."""

from __future__ import annotations

import asyncio
import json
import logging
import time
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wam.service.api_keys import ApiKey, ApiKeyError, KeyStore
from wam.service.metrics import Metrics
from wam.service.problems import MEDIA_TYPE, Problem, unavailable
from wam.service.rates import Admission, Rates, client_of
from wam.service.roles import EVERYBODY, Role, may
from wam.service.settings import Settings
from wam.service.tokens import NEEDED, TokenBook

LOG = logging.getLogger("wam.service")
FREE = frozenset(
    {
        "page", "page_style", "page_script", "page_texts", "page_icon", "openapi", "healthz", "readyz", "about",
        "supported_algorithms", "capabilities", "binding_status", "well_known", "token_metadata",
    }
)  # fmt: skip
JOBS = frozenset({"start_job", "start_marking_job"})
WITH_PICTURE = (  # what needs room in the house
    frozenset({"detect", "detect_url", "embed", "match_content", "match_reference"}) | JOBS
)
SMALL = frozenset({"issue_token", "match_binding", "match_reference", "detect_url", "check_receipt"})
SMALL_BYTES = 1 << 16  # of a body that is a form or an object, which everybody may send
ENVELOPE = 1 << 16  # bytes of a body that may be around a picture of the largest size
GONE = 499  # what is logged and counted of a client that went away; nothing is answered
METHODS = ("GET", "HEAD", "POST", "DELETE", "PUT", "PATCH", "OPTIONS")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
)


@dataclass(frozen=True)
class Caller:
    """Who asks: a role, and what counts for rates: a key's id or an address; ``scopes``: with a token, what it is for,
    None with a key."""

    role: Role
    client: str
    key: ApiKey | None = None
    scopes: frozenset[str] | None = None


class Gate:
    """The middleware around an application with ``routes``."""

    def __init__(
        self,
        app: ASGIApp,
        routes: Callable[[], Iterable[BaseRoute]],
        keys: KeyStore,
        settings: Settings,
        rates: Rates,
        admission: Admission,
        metrics: Metrics,
        tokens: TokenBook | None = None,
    ) -> None:
        self.app, self._routes, self._keys, self._settings = app, routes, keys, settings
        self._tokens = tokens or TokenBook(keys)
        self._rates, self._admission, self._metrics = rates, admission, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection, as ASGI has it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        visit = _Visit(send)
        begun = time.monotonic()
        try:
            await self._admit(scope, receive, visit)
        except Problem as problem:
            await visit.refuse(problem)
        except asyncio.CancelledError:
            raise
        except ClientDisconnect:  # whoever asked has gone before all of it was here: nobody's fault
            visit.status = visit.status or GONE
        except Exception as error:
            # only where it happened: a message may hold what a request did
            places = [f"{step.filename}:{step.lineno}" for step in traceback.extract_tb(error.__traceback__)]
            LOG.error(json.dumps({"fault": type(error).__name__, "at": places[-3:]}))
            await visit.refuse(Problem(500, "fault", "the service failed; its log says where"))
        finally:
            seconds = time.monotonic() - begun
            method = scope["method"] if scope["method"] in METHODS else "other"
            self._metrics.answered(visit.route or "none", method, visit.status, seconds)
            LOG.info(
                json.dumps(
                    {
                        "route": visit.route, "method": method, "status": visit.status, "ms": round(1000 * seconds),
                        "bytes": visit.received, "key": None if visit.key is None else visit.key.id,
                    }
                )
            )  # fmt: skip

    async def _admit(self, scope: Scope, receive: Receive, visit: _Visit) -> None:
        route = self._route(scope)
        visit.route = route
        visit.method = scope["method"]
        caller = await self._caller(scope, route)
        visit.key = caller.key
        allowed = EVERYBODY if route == "metrics" and self._settings.open_metrics else None
        if not (may(caller.role, route) or (allowed and caller.role in allowed)):
            if caller.key is None:
                raise Problem(
                    401, "no-key", "expected an API key (Authorization: Bearer KEY), found none; ask who runs this",
                    headers={"WWW-Authenticate": "Bearer"},
                )  # fmt: skip
            raise Problem(403, "not-allowed", f"role: expected one that may do this, found {caller.role}")
        if caller.scopes is not None:
            _check_scope(route, caller.scopes)
        if route not in FREE:
            rate = None if caller.key is None else caller.key.rate or self._settings.limits.key_rate
            await self._count(lambda: self._rates.request(caller.client, rate))
        scope.setdefault("state", {})["caller"] = caller
        body = _Body(receive, self._settings, visit)
        body.check_length(scope)
        if route not in WITH_PICTURE:
            await self.app(scope, body, visit)
            return
        self._admission.enter(caller.client)
        try:
            await self.app(scope, body, visit)
        finally:
            self._admission.leave(caller.client)

    async def _count(self, count: Callable[[], None]) -> None:
        """Counts a request, in a thread where that may take a while."""
        if self._rates.waits:
            await asyncio.to_thread(count)
        else:
            count()

    def _route(self, scope: Scope) -> str:
        """The name of the route that will answer; raises ``Problem`` for none."""
        others: set[str] = set()
        for route in self._routes():
            match, _ = route.matches(scope)
            if match is Match.FULL:
                return str(getattr(route, "name", ""))
            if match is Match.PARTIAL:
                others |= set(getattr(route, "methods", None) or ())
        if others:
            allowed = ", ".join(sorted(others))
            raise Problem(
                405, "no-such-method", f"method: expected {allowed}, found another", headers={"Allow": allowed}
            )
        raise Problem(404, "not-found", "path: expected one of the API's, found another; see /openapi.json")

    async def _caller(self, scope: Scope, route: str) -> Caller:
        """Who asks, by the key or token they hold; raises ``Problem`` for one that is none."""
        address = client_of(scope["client"][0] if scope.get("client") else "unknown")
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        if not given or route == "issue_token":  # whose handler looks at the client's credentials itself
            return Caller(Role.ANONYMOUS, f"address {address}")
        await self._count(lambda: self._rates.refuse_guessing(address))
        scheme, _, text = given[0].decode("latin-1").partition(" ")
        try:
            fits = len(given) == 1 and scheme.lower() == "bearer"
            key = await asyncio.to_thread(self._keys.check, text.strip()) if fits else None
            grant = await asyncio.to_thread(self._tokens.check, text.strip()) if fits and key is None else None
        except ApiKeyError:
            LOG.error("the file of API keys cannot be used; see: wam serve keys list")
            raise unavailable("keys: expected to read them, found that this cannot be done now") from None
        if grant is not None:
            return Caller(grant.key.role, grant.key.client, grant.key, grant.scopes)
        if key is None:
            await self._count(lambda: self._rates.wrong_key(address))
            raise Problem(
                401, "no-key", "key: expected one that was made here and is not revoked, found another",
                headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
            )  # fmt: skip
        return Caller(key.role, key.client, key)


def _check_scope(route: str, scopes: frozenset[str]) -> None:
    """Raises ``Problem`` for a route that a token with these scopes is not for."""
    needed = NEEDED.get(route)
    if needed is None and route not in FREE:
        raise Problem(403, "not-allowed", "token: expected an API key here, found a token for soft bindings only")
    if needed is not None and needed not in scopes:
        raise Problem(
            403, "not-allowed", f"token: expected the scope {needed}, found another",
            headers={"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{needed}"'},
        )  # fmt: skip


class _Body:
    """``receive`` that counts and times what comes."""

    def __init__(self, receive: Receive, settings: Settings, visit: _Visit) -> None:
        self._receive, self._visit = receive, visit
        limits, is_job = settings.limits, visit.route in JOBS
        self._most = (limits.job_bytes if is_job else limits.max_bytes) + ENVELOPE
        if visit.route in SMALL:
            self._most = SMALL_BYTES
        self._seconds = limits.upload_seconds * (limits.job_bytes / limits.max_bytes if is_job else 1)
        self._end = time.monotonic() + self._seconds
        self._whole = False

    def check_length(self, scope: Scope) -> None:
        """Refuses a body that says itself that it is too large, before any of it is read."""
        for name, value in scope["headers"]:
            if name == b"content-length" and value.isdigit() and int(value) > self._most:
                raise self._too_large()

    async def __call__(self) -> Message:
        if self._whole:  # the client goes away some day
            return await self._receive()
        try:
            message = await asyncio.wait_for(self._receive(), max(0.0, self._end - time.monotonic()))
        except TimeoutError:
            raise Problem(
                408, "too-slow", f"body: expected it whole within {self._seconds:g} s, found less; send it again"
            ) from None
        if message["type"] == "http.request":
            self._visit.received += len(message.get("body", b""))
            self._whole = not message.get("more_body", False)
            if self._visit.received > self._most:
                raise self._too_large()
        return message

    def _too_large(self) -> Problem:
        return Problem(413, "too-large", f"body: expected at most {self._most:,} bytes, found more; use a smaller copy")


class _Visit:
    """``send`` that adds headers and remembers what was answered."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.route: str | None = None
        self.method = "GET"
        self.key: ApiKey | None = None
        self.status = 0
        self.received = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            present = {name.lower() for name, _ in message["headers"]}
            message["headers"] = [*message["headers"], *(pair for pair in HEADERS if pair[0] not in present)]
            if b"cache-control" not in present:
                message["headers"].append((b"cache-control", b"no-store"))
        await self._send(message)

    async def refuse(self, problem: Problem) -> None:
        """Sends a problem, unless an answer has begun; the connection ends, since a body may still be coming."""
        if self.status:
            return
        body = problem.body
        headers: list[tuple[bytes, bytes]] = [
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
            *((name.lower().encode(), value.encode("latin-1")) for name, value in problem.headers.items()),
        ]
        start: dict[str, Any] = {"type": "http.response.start", "status": problem.status, "headers": headers}
        with suppress(OSError):  # whoever asked has gone
            await self(start)
            await self._send({"type": "http.response.body", "body": b"" if self.method == "HEAD" else body})
