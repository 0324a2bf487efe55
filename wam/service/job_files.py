"""What there is of a job in the store: enough for any service that has the store to show it, and to go on with it.

``jobs/ID/`` holds

``job.json``
    whose it is, how far, which service works on it (``owner``) and when that was said; the first file of a job
``plan.json``
    what is asked for, and every picture; a job without one was never taken over whole
``upload-N``
    the files as they were sent, until all is done
``results-C-N.jsonl``
    lines in parts, since a store takes no more to a file; before each the picture's number, after a tab
``marked/N``, ``marked.zip``
    a marked picture, put there before its id is confirmed; all of them, at the end
``link-N``
    the id that was reserved for a picture that is to have one of its own, so that it is taken up again
``claim-C``
    made by the service that goes on with it for the C-th time: a store lets one of several make it
``end``
    put there by whoever takes the job back
"""

from __future__ import annotations

import json
import re
import shutil
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import IO, Any

from wam.service.shared import Store

CHUNK = 1 << 16
ARCHIVE = "marked.zip"
CLAIM_SECONDS = 60.0  # in which whoever claims a job tells that it goes on
_ID = re.compile(r"[A-Za-z0-9_-]{16}")
_SAID = frozenset({"kind", "state", "passed_over", "files"})  # of what is told of a job, that which is asked for here


@dataclass(frozen=True)
class Member:
    """One picture: which upload it is in, its name, and what is asked for of it alone."""

    upload: int
    name: str
    asked: Any = None


@dataclass(frozen=True)
class Plan:
    """What a job is to do: ``asked`` of all its pictures, JSON both times; ``uploads``: how many files were sent."""

    asked: Any
    members: tuple[Member, ...]
    uploads: int


@dataclass(frozen=True)
class Standing:
    """How far a job was when it was last told: ``said`` to whom it belongs (``client``), ``at`` (seconds since 1970),
    the ``owner`` that works on it, None where it has let it go; ``claim``: how often it was taken up, ``tries``: of
    these since the last picture that was done."""

    client: str
    said: dict[str, Any]
    at: float
    owner: str | None
    claim: int = 0
    tries: int = 0

    @property
    def is_running(self) -> bool:
        """Whether something is left to be done."""
        return bool(self.said["state"] == "running")


class JobFiles:
    """The files of one job. All raises ``Problem`` where the store does not answer."""

    def __init__(self, store: Store, id: str) -> None:
        self.id, self._store = id, store

    def put_upload(self, number: int, stream: IO[bytes]) -> None:
        """Takes a file over."""
        stream.seek(0)
        with self._store.writing(self._name(f"upload-{number}")) as target:
            shutil.copyfileobj(stream, target, CHUNK)

    def upload(self, number: int, folder: Path) -> Path:
        """One of them on this machine: where it is, or a copy in a ``folder``."""
        name = self._name(f"upload-{number}")
        there = self._store.path(name)
        if there is not None:
            return there
        copy = folder / f"{self.id}-{number}"
        with self._store.open(name) as stream, open(copy, "wb") as target:
            shutil.copyfileobj(stream, target, CHUNK)
        return copy

    def remove_work(self, uploads: int) -> None:
        """Removes them, and the marked pictures one by one: of no use when all is done."""
        self._store.remove(*(self._name(f"upload-{number}") for number in range(uploads)), self._name("marked"))

    def put_plan(self, plan: Plan) -> None:
        """Tells what is to be done."""
        self._put_json("plan.json", asdict(plan))

    def plan(self) -> Plan | None:
        """What is to be done. Raises ``ValueError`` for what no service of this version wrote."""
        values = self._json("plan.json")
        if values is None:
            return None
        try:
            members = tuple(Member(**one) for one in values["members"])
            return Plan(values["asked"], members, int(values["uploads"]))
        except (KeyError, TypeError) as error:
            raise ValueError("expected the plan of a job, found another") from error

    def put_standing(self, standing: Standing) -> None:
        """Tells how far it is."""
        self._put_json("job.json", asdict(standing))

    def standing(self) -> Standing | None:
        """How far it is; None where there is no such job, nor one that can be read: a store may hold what another
        version, or another program, put there."""
        if not _ID.fullmatch(self.id):
            return None
        try:
            values = self._json("job.json")
            known = {one.name: values[one.name] for one in fields(Standing) if one.name in values}
            standing = Standing(**known)
            return standing if standing.said.keys() >= _SAID and standing.at + standing.claim >= 0 else None
        except (ValueError, TypeError, AttributeError):
            return None

    @property
    def latest(self) -> float | None:
        """When the newest of its files, or its folder, was written, seconds since 1970; None where there is none."""
        files = self._store.list(f"jobs/{self.id}", parts=True)
        folder = self._store.path(f"jobs/{self.id}")
        if not files and folder is not None:
            with suppress(OSError):
                return folder.stat().st_mtime
        return max((one.when for one in files), default=None)

    def claim(self, number: int) -> bool:
        """Whether this service is the one to go on with it, of all that try now."""
        return self._store.put_new(self._name(f"claim-{number}"), b"")

    def is_old_claim(self, number: int) -> bool:
        """Whether the service that made a claim was gone before it could tell that it goes on."""
        found = self._store.find(self._name(f"claim-{number}"))
        return found is not None and found.when < now() - CLAIM_SECONDS

    def is_claimed(self, number: int) -> bool:
        """Whether a service has gone on with it that often."""
        return self._store.find(self._name(f"claim-{number}")) is not None

    def end(self) -> None:
        """Asks whoever works on it to end."""
        self._store.put(self._name("end"), b"")

    @property
    def is_ended(self) -> bool:
        """Whether it was taken back."""
        return self._store.find(self._name("end")) is not None

    def remove(self) -> None:
        """Removes all of it."""
        self._store.remove(f"jobs/{self.id}")

    def put_lines(self, claim: int, part: int, lines: Mapping[int, str]) -> None:
        """Adds what was said of pictures, by their numbers."""
        text = "".join(f"{number}\t{line}\n" for number, line in lines.items())
        self._store.put(self._name(f"results-{claim:04d}-{part:06d}.jsonl"), text.encode())

    def lines(self) -> Iterator[tuple[int, str]]:
        """What was said of pictures, once of each, whoever has done it twice. A line that was cut off says nothing:
        its picture is worked on again."""
        seen = set()
        for part in self._store.list(f"jobs/{self.id}/results-", prefix=True):
            content = self._store.get(part.name) or b""
            for line in content.decode("ascii", "replace").splitlines():
                number, _, said = line.partition("\t")
                if number not in seen and _is_whole(number, said):
                    seen.add(number)
                    yield int(number), said

    def keep(self, number: int, content: bytes) -> None:
        """Keeps a marked picture."""
        self._store.put(self._name(f"marked/{number}"), content)

    def drop(self, number: int) -> None:
        """Removes one that was not marked after all."""
        self._store.remove(self._name(f"marked/{number}"))

    def kept_sizes(self) -> dict[int, int]:
        """The sizes of the marked pictures by their numbers."""
        found = self._store.list(f"jobs/{self.id}/marked/", prefix=True)
        named = {one.name.rpartition("/")[2]: one.size for one in found}
        return {int(name): size for name, size in named.items() if _is_number(name)}

    def pack(self, names: Mapping[int, str]) -> None:
        """Puts the marked pictures into one archive under their names."""
        place = self._name(ARCHIVE)
        with self._store.writing(place) as target, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
            for number, name in names.items():
                content = self._store.get(self._name(f"marked/{number}"))
                if content is None:
                    raise FileNotFoundError(f"marked/{number}")
                archive.writestr(name, content)

    def archive(self) -> IO[bytes] | None:
        """All of them; None where there is none."""
        with suppress(FileNotFoundError):
            return self._store.open(self._name(ARCHIVE))
        return None

    def put_link(self, number: int, link: str) -> None:
        """Remembers what was reserved for a picture."""
        self._store.put(self._name(f"link-{number}"), link.encode())

    def link(self, number: int) -> str | None:
        """What was reserved for a picture at an earlier attempt."""
        content = self._store.get(self._name(f"link-{number}"))
        return None if content is None else content.decode()

    def _name(self, name: str) -> str:
        return f"jobs/{self.id}/{name}"

    def _put_json(self, name: str, values: Mapping[str, Any]) -> None:
        self._store.put(self._name(name), json.dumps(values, ensure_ascii=True).encode())

    def _json(self, name: str) -> Any:
        content = self._store.get(self._name(name))
        return None if content is None else json.loads(content)


def ids(store: Store) -> Sequence[str]:
    """All jobs in a store."""
    return [one for one in store.folders("jobs") if _ID.fullmatch(one)]


def _is_whole(number: str, said: str) -> bool:
    try:
        return _is_number(number) and isinstance(json.loads(said), dict | list)
    except (ValueError, RecursionError):
        return False


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def now() -> float:
    """Seconds since 1970, which machines agree on."""
    return time.time()
