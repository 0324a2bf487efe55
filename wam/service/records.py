"""Records: what stands behind the links, for those who may look."""

from __future__ import annotations

from itertools import islice
from typing import Annotated, Any

from fastapi import Query
from fastapi.responses import JSONResponse, Response
from typing_extensions import TypedDict

from payload import parse_time
from payload.registry import Registry
from payload.registry.entry import Entry, State
from wam.errors import mask_secrets, show_name
from wam.service.house import House
from wam.service.problems import bad_request

MOST_RECORDS = 1000  # of one answer
LONGEST_QUERY = 256

TextQuery = Annotated[str | None, Query(max_length=LONGEST_QUERY)]


class RecordAnswer(TypedDict):
    """What the registry holds of one link, as ``wam registry show --json`` says it."""

    serial: int
    link: str
    state: str
    record: dict[str, str | None]
    phash: str | None
    output: str | None
    updated_at: str


class RecordList(TypedDict):
    """Some records, oldest first."""

    records: list[RecordAnswer]
    more: Annotated[bool, "whether there are others that fit"]


class Records:
    """Their handlers."""

    def __init__(self, house: House) -> None:
        self.house = house

    async def list_records(
        self,
        asset: TextQuery = None,
        owner: TextQuery = None,
        user: TextQuery = None,
        state: State | None = None,
        since: Annotated[str | None, Query(max_length=64, description="RFC 3339: ingested then or later.")] = None,
        limit: Annotated[int, Query(ge=1, le=MOST_RECORDS)] = 100,
    ) -> Response:
        """Records of the registry, oldest first."""
        for name, text in (("asset", asset), ("owner", owner), ("user", user)):
            if text is not None and not text.isprintable():  # a database may take none of these
                raise bad_request(f"{name}: expected printable text, found another")
        try:
            start = None if since is None else parse_time(since)
        except ValueError as error:
            raise bad_request(f"since: {show_name(str(error))}") from None

        def some(registry: Registry) -> list[Entry]:
            entries = registry.entries(state=state, asset=asset, owner=owner, user=user, since=start)
            return list(islice(entries, limit + 1))

        found = await self.house.ask_registry(some)
        return JSONResponse({"records": [_entry(one) for one in found[:limit]], "more": len(found) > limit})

    async def show_record(self, link: str) -> Response:
        """One record."""
        return JSONResponse(_entry(await self.house.ask_registry(lambda registry: registry.show(link))))

    async def withdraw_record(self, link: str) -> Response:
        """Takes a record back: its id stays, and detections name it no more."""
        return JSONResponse(_entry(await self.house.ask_registry(lambda registry: registry.withdraw(link))))


def _entry(entry: Entry) -> dict[str, Any]:
    return {**entry.to_dict(), "output": entry.output and mask_secrets(entry.output)}
