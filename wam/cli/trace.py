"""``wam trace``: who had a picture, with what else was marked of the same asset, and a sheet for the files."""

from __future__ import annotations

import hashlib
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wam.cli import common, panels, terminal
from wam.cli.choices import Device
from wam.cli.lines import note_keys, warn
from wam.cli.one_by_one import read_file, words_of
from wam.cli.print_candidates import HINT
from wam.errors import WamError, mask_secrets, show_name
from wam.models.catalogue import DEFAULT
from wam.models.effort import Effort
from wam.packages import require_for
from wam.pipeline.caption import show_mark, show_status
from wam.pipeline.chance import NAME_IF

if TYPE_CHECKING:
    from wam.cli.one_by_one import ReadFile
    from wam.pipeline.trace import OtherMarkObject, TraceObject
    from wam.watermarker import Watermarker

UNREAD = 2  # exit status where a file could not be read

Evidence = Annotated[
    Path | None,
    typer.Option(
        "--evidence",
        metavar="FILE.html",
        rich_help_panel=panels.OUTPUT,
        help="Write one sheet on the picture, to be printed or kept: marks outlined, records, hashes of file and "
        "model, date, command, and what is and is not proven. One input only.",
        parser=common.local_path,
    ),
]
Most = Annotated[
    int,
    typer.Option(
        "--most", min=0, metavar="N", rich_help_panel=panels.PRINTING, help="Other marks of an asset to list."
    ),
]
Thorough = Annotated[
    bool,
    typer.Option("--thorough", rich_help_panel=panels.READING, help="As of detect: search on when a mark was found."),
]


def trace(
    images: common.Images,
    evidence: Evidence = None,
    most: Most = 20,
    thorough: Thorough = False,
    as_json: common.JsonOption = False,
    registry: common.RegistriesOption = None,
    key_file: common.KeyOption = None,
    model: common.ModelOption = DEFAULT,
    device: common.DeviceOption = Device.AUTO,
    debug: common.DebugOption = False,
) -> None:
    """Say who had a picture: each mark's record, how sure it is, where it lies, and the other marks of the same asset.

    Exit status as of detect. 0: every picture carries at least one mark. 1: some picture carries none. 2: some picture
    could not be read, or usage.

    Example: wam trace leaked.jpg --evidence leaked.html
    """
    require_for("wam trace")
    from wam.jobs.listing import Listing
    from wam.pipeline.contract import detect_object
    from wam.pipeline.read import may_lead
    from wam.pipeline.trace import trace as find
    from wam.pipeline.trace import trace_object

    listing = Listing(images)
    if evidence is not None:
        _check_sheet(evidence, [source.location for source in listing.whole()])
        common.refuse_inputs([evidence], common.own_files(registry, key_file, model), "choose another")
    marker = common.loaded(common.marker_loader(model, device, [*common.read_keys(key_file), None]))
    registries = common.open_registries(registry)
    words = words_of(registries)
    status, marked, unmarked = 0, False, False
    for source in listing:
        found = read_file(marker, words, source.location, effort=Effort(thorough=thorough), debug=debug)
        if found is None:
            status = UNREAD
            continue
        findings, name = found.findings, str(source.location)
        said = [trace_object(one) for one in find(findings, registries, most=most)]
        if findings.reason is not None:
            warn(f"{show_name(name)}: {findings.reason}")
        if as_json:
            common.print_json(
                {
                    "image": mask_secrets(name),
                    "sha256": hashlib.sha256(found.content).hexdigest(),
                    "model_sha256": _digest(model),
                    "traces": said,
                    "found": detect_object(findings, image=name, model=marker.name),
                }
            )
        else:
            typer.echo("\n".join(_lines(show_name(name), said, several=len(registries) > 1)))
            if any(not may_lead(one) for one in findings.readings):
                typer.echo(HINT)
        if evidence is not None:
            _write_sheet(evidence, name, found, said, marker, model)
        marked, unmarked = marked or bool(findings.readings), unmarked or not findings.readings
        status = max(status, 0 if findings.readings else 1)
    if unmarked and not marked and not as_json:
        note_keys(marker)
    if status:
        raise typer.Exit(status)


def _lines(name: str, said: Sequence[TraceObject], *, several: bool) -> Iterator[str]:
    """What is printed of one picture."""
    yield f"{name}: {len(said)} watermark{'s' if len(said) > 1 else ''}" if said else f"{name}: no watermark"
    for number, one in enumerate(said, start=1):
        mark = one["watermark"]
        record, (x, y, width, height) = mark["record"], mark["region"]["bbox"]
        rows = [("mark", f"{number}: {show_status(mark)} {show_mark(mark)}")]
        if record is not None:
            rows += [
                ("user", show_name(record["user"] or "-")),
                ("asset", f"{show_name(record['asset'])}, of {show_name(record['owner'])}"),
                ("time", record["ingested_at"]),
            ]
        if several and mark["registry"] is not None:
            rows.append(("registry", show_name(mark["registry"])))
        rows.append(("region", f"{x},{y} {width}x{height} ({mark['region']['area']:.0%})"))
        rows.append(("chance", one["chance"]))
        if one["name_chance"] is not None:
            rows.append(("wrong name", f"{one['name_chance']}, {NAME_IF}"))
        if one["binding"] is not None:
            rows.append(("lies", one["binding"]))
        yield ""
        yield from terminal.block(rows, terminal.width(), whole=("mark", "user"))
        if one["others"]:
            yield f"other marks of this asset, the newest first, {len(one['others'])} of {one['others_in_all']}:"
            yield from (f"  {_other(other, several=several)}" for other in one["others"])


def _other(other: OtherMarkObject, *, several: bool) -> str:
    record = other["record"]
    state = "" if other["state"] == "marked" else f" ({other['state']})"
    place = f" in {show_name(other['registry'])}" if several else ""
    return f"{record['ingested_at']}  {other['link']}  {show_name(record['user'] or '-')}{state}{place}"


def _check_sheet(evidence: Path, sources: Sequence[object]) -> None:
    """Ends the command for a sheet that cannot be written as asked."""
    if len(sources) != 1:
        common.fail(f"--evidence: expected one input, found {len(sources)}; take them one by one")
    if evidence.suffix.lower() != ".html":
        common.fail(
            f"--evidence: expected a name ending in .html, found {show_name(str(evidence))}; print the page for a PDF"
        )
    common.refuse_inputs([evidence], [str(sources[0])], "choose another")


def _digest(model: str) -> str:
    from wam.models.zoo import file_digest

    return file_digest(model)


def _write_sheet(
    evidence: Path, name: str, found: ReadFile, said: Sequence[TraceObject], marker: Watermarker, model: str
) -> None:
    """Writes the sheet whole or not at all."""
    from payload import format_time
    from payload.records.record import now
    from wam import __version__
    from wam.jobs.evidence import Circumstances, evidence_page
    from wam.pictures.files import write_text
    from wam.pipeline.chance import is_tested, meaning

    known = marker.model.description
    about = Circumstances(
        name=mask_secrets(name),
        sha256=hashlib.sha256(found.content).hexdigest(),
        model=marker.name,
        model_sha256=_digest(model),
        version=__version__,
        command=mask_secrets(shlex.join(["wam", *sys.argv[1:]])),
        read_at=format_time(now()),
        meaning=meaning() if is_tested(known.name, known.same_as, known.search) else None,
    )
    page = evidence_page(found.picture, said, about, reason=found.findings.reason)
    try:
        write_text(evidence, lambda stream: stream.write(page))
    except WamError as error:
        common.fail(error)
