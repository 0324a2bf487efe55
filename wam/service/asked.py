"""What a form that has pictures marked asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import PurePosixPath
from typing import Any, cast

from payload import Record, parse_time
from payload.records.record import now
from wam.errors import WamError, show_name
from wam.networks.strength import either
from wam.pipeline.options import MarkOptions
from wam.provenance.credentials import Credentials
from wam.provenance.disclosure import VALUES, from_form
from wam.provenance.manifest_definition import Declared
from wam.provenance.source_types import source_type_of
from wam.service.bodies import number_of, switch_of
from wam.service.gate import Caller
from wam.service.problems import Problem, bad_request
from wam.service.signing import require_signer

FIELDS = (
    "asset", "owner", "user", "time", "mode", "label", "frames", "strength", "psnr", "quality", "format", "new_link",
    *VALUES, "source_type", "c2pa",
)  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """What a form asks for: the ``record``, whether its time was given (``timed``), how pictures are marked, in which
    ``format``, None for each one's own, and whether with a link of its own even for one that was marked before; with a
    manifest, what it ``declared`` of the picture."""

    record: Record
    timed: bool
    options: MarkOptions
    format: str | None
    new_link: bool
    declared: Declared | None = None

    def to_dict(self) -> dict[str, Any]:
        """For a job's plan."""
        options = {**asdict(self.options), "label": self.options.disclosure and self.options.disclosure.to_json()}
        return {**asdict(self), "record": self.record.to_dict(), "options": options}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Asked:
        """What ``to_dict`` made."""
        record, options = record_of(values["record"]), MarkOptions(**values["options"])
        said = values.get("declared")
        declared = None if said is None else Declared(**said)
        return cls(record, values["timed"], options, values["format"], values["new_link"], declared)


def named(record: Record, name: str) -> Record:
    """The record with a picture's name, without folder and extension, for its asset; raises ``Problem``."""
    try:
        return replace(record, asset=PurePosixPath(name).stem)
    except ValueError as error:
        raise bad_request(show_name(str(error))) from None


def asked_of(fields: Mapping[str, str], caller: Caller, *, signer: Credentials | None) -> Asked:
    """What a form asks for; raises ``Problem``, also where there is no ``signer`` and something is to be signed."""
    unknown = sorted(set(fields) - set(FIELDS))
    if unknown:
        raise bad_request(f"form: expected {', '.join(FIELDS)}, found another field; leave it out")
    owner = fields.get("owner") or own_of(caller) or ""
    check_owner(owner, caller)
    format = fields.get("format") or None
    if format is not None and not (format.isascii() and format.isalnum()):
        raise bad_request("format: expected an extension such as png or jpg, found another")
    try:
        signs, source_type = switch_of(fields, "c2pa"), fields.get("source_type")
        declared = Declared(source_type_of(source_type) if source_type else None) if signs else None
        not_of_label = ("source_type",) if signs and not fields.get("label") else ()
        time, quality = fields.get("time"), number_of(fields, "quality")
        when = parse_time(time) if time else now()
        record = Record(fields.get("asset", ""), owner, fields.get("user") or None, when)
        options = MarkOptions(
            mode=cast(Any, fields.get("mode") or "link"),
            strength=either(fields.get("strength") or None, number_of(fields, "psnr")),
            label=from_form({name: value for name, value in fields.items() if name not in not_of_label}),
            frames=switch_of(fields, "frames"),
            quality=None if quality is None else round(quality),
        )
        new_link = switch_of(fields, "new_link")
    except (ValueError, OverflowError, WamError) as error:
        raise bad_request(show_name(str(error))) from None
    if declared is not None:
        require_signer(signer)
    return Asked(record, bool(time), options, format, new_link, declared)


def record_of(values: Mapping[str, Any]) -> Record:
    """The record that ``Record.to_dict`` made this of."""
    return Record(values["asset"], values["owner"], values["user"], parse_time(values["ingested_at"]))


def own_of(caller: Caller) -> str | None:
    """The only owner that a caller's key is for, if it is for one only."""
    return None if caller.key is None else caller.key.owner


def check_owner(owner: str, caller: Caller) -> None:
    """Raises ``Problem`` for an owner that a caller's key is not for."""
    if own_of(caller) not in (None, owner):
        raise Problem(403, "not-allowed", "owner: expected the one that this key is for, found another")
