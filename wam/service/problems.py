"""What went wrong, as problem+json (RFC 9457): the sentences of the command line with a status of HTTP."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypedDict

MEDIA_TYPE = "application/problem+json"
TITLES = {
    "bad-request": "The request makes no sense",
    "no-key": "A key is needed",
    "not-allowed": "Not allowed",
    "not-found": "Not found",
    "no-such-method": "No such method here",
    "too-slow": "The upload took too long",
    "conflict": "Not in this state",
    "too-large": "Too large",
    "wrong-type": "Not a type that is taken",
    "picture": "The picture cannot be used",
    "too-many": "Too many requests",
    "fault": "A fault of the service",
    "not-fetched": "What is elsewhere could not be fetched",
    "unavailable": "Not available now",
}
BUSY_SECONDS = 5  # after which a client that found no room may ask again


class ProblemObject(TypedDict):
    """The body of every answer that is an error; ``error`` says what ``detail`` does, under C2PA's name for it."""

    type: str
    title: str
    status: int
    detail: str
    error: str


class Problem(Exception):
    """A request that is refused or failed; ``detail`` is one line for a person."""

    def __init__(self, status: int, kind: str, detail: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.kind, self.detail, self.headers = status, kind, detail, dict(headers or {})

    def to_dict(self) -> ProblemObject:
        """The object that is sent."""
        return {
            "type": f"urn:wam:problem:{self.kind}",
            "title": TITLES[self.kind],
            "status": self.status,
            "detail": self.detail,
            "error": self.detail,
        }

    @property
    def body(self) -> bytes:
        """The same as bytes."""
        return json.dumps(self.to_dict(), ensure_ascii=True).encode()


def bad_request(detail: str) -> Problem:
    """Arguments that make no sense."""
    return Problem(400, "bad-request", detail)


def too_many(detail: str, seconds: float = BUSY_SECONDS) -> Problem:
    """A client that has to wait."""
    return Problem(429, "too-many", detail, headers={"Retry-After": str(max(1, round(seconds)))})


def unavailable(detail: str) -> Problem:
    """What may go better in a moment."""
    return Problem(503, "unavailable", detail, headers={"Retry-After": str(BUSY_SECONDS)})


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """How a description of the API names them."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {status: {"description": "Problem", "content": {MEDIA_TYPE: {"schema": schema}}} for status in statuses}
