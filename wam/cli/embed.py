"""``wam embed``: mark pictures with a new short link each, or with the whole record."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wam.cli import common
from wam.cli.record import embed_records
from wam.errors import WamError, show_name

if TYPE_CHECKING:
    from wam.jobs.ledger import Ledger
    from wam.jobs.manifest import Manifest
    from wam.jobs.outcome import EmbedOutcome
    from wam.jobs.plan import Fields, Item, Source

MANIFEST_ONLY = ("path", "status", "at", "sha256", "source")  # what a manifest's line has beside the contract's object
Asset = Annotated[str | None, typer.Option("--asset", metavar="ID", help="Asset ID of the pictures.")]
AssetFrom = Annotated[
    str | None,
    typer.Option(
        "--asset-from",
        metavar="name|csv:FILE",
        help="One asset for each file: its name without extension, or its row of a CSV with the columns path, asset "
        "and, if wanted, owner, user, time.",
    ),
]
Owner = Annotated[str | None, typer.Option("--owner", metavar="NAME", help="Who owns them.")]
User = Annotated[str | None, typer.Option("--user", metavar="ID", help="User ID, to trace who received or made them.")]
Time = Annotated[
    str | None,
    typer.Option("--time", metavar="RFC3339", help="Ingest time, such as 2026-11-22T09:30:00Z; default now."),
]
Output = Annotated[str | None, typer.Option("-o", "--output", metavar="FILE", help="Where to write; one input only.")]
OutDir = Annotated[
    str | None,
    typer.Option(
        "--out-dir",
        metavar="DIR",
        help="Folder to write to, under the inputs' names, with a manifest of what was done.",
    ),
]
InPlace = Annotated[bool, typer.Option("--in-place", help="Replace the inputs.")]
LabelOption = Annotated[
    bool,
    typer.Option(
        "--label",
        help="For generated pictures: also write the label of GB 45438-2025 (XMP TC260:AIGC) and the IPTC digital "
        "source type to the file's metadata, with owner and link.",
    ),
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Skip what the manifest in --out-dir shows as done, if the file is still so.")
]
Mode = Annotated[
    str,
    typer.Option(
        "--mode",
        metavar="link|record",
        help="link: the mark is a short link, the record is in the registry. record: the whole record is in the "
        "picture, in many marks side by side, and is read without a registry.",
    ),
]
Encrypt = Annotated[
    bool,
    typer.Option("--encrypt", help="With --mode record and a key: encrypt the record, too, besides authenticating it."),
]
Strength = Annotated[
    float | None,
    typer.Option(
        "--strength",
        metavar="DB",
        help="PSNR to aim for, 30 to 55 dB (lower is more robust); default: the model's own, 42 for lattice32.",
    ),
]


def embed(
    images: common.Images,
    asset: Asset = None,
    asset_from: AssetFrom = None,
    owner: Owner = None,
    user: User = None,
    time: Time = None,
    output: Output = None,
    out_dir: OutDir = None,
    in_place: InPlace = False,
    resume: Resume = False,
    mode: Mode = "link",
    encrypt: Encrypt = False,
    strength: Strength = None,
    label: LabelOption = False,
    frames: common.FramesOption = None,
    registry: common.RegistryOption = None,
    key_file: common.KeyOption = None,
    model: common.ModelOption = common.DEFAULT_MODEL,
    device: common.DeviceOption = "auto",
    workers: common.WorkersOption = None,
    engine: common.EngineOption = "local",
    address: common.AddressOption = None,
    as_json: common.JsonOption = False,
    debug: common.DebugOption = False,
) -> None:
    """Mark pictures invisibly and register what the mark stands for.

    Each picture gets its own 32-bit short link; asset, owner, user and time are kept in the registry, not in the
    pixels, unless --mode record puts them there. The marked file is read back before it is kept. Default output:
    NAME.wm.EXT beside the input.
    """
    from wam.jobs.cluster import Cluster, embed_on_cluster
    from wam.jobs.ledger import Ledger
    from wam.jobs.local import embed_locally

    _check_options(mode, strength, engine, address, out_dir, resume)
    all_frames = common.take_frames(frames)
    fields = _fields(asset, asset_from, owner, user, time)
    items = _plan(images, output, out_dir, in_place, fields)
    load = common.marker_loader(model, device, key_file, reading=False)
    if mode == "record":
        refused = {"--label": label, "--frames": frames, "--resume": resume, "--registry": registry}
        embed_records(load, items, {**refused, "--engine ray": engine == "ray"}, encrypt, strength, as_json, debug)
        return
    if encrypt:
        common.fail("--encrypt: expected --mode record with it, found link; nothing secret is in the pixels there")
    marker = common.loaded(load)
    records = common.open_registry(registry, create=True)
    with _open_manifest(out_dir) as manifest:
        ledger = Ledger(records, marker.name, manifest)
        if engine == "ray":
            cluster = Cluster(load, address, workers)
            outcomes = embed_on_cluster(
                cluster, ledger, items, strength=strength, resume=resume, frames=all_frames, label=label
            )
        else:
            outcomes = embed_locally(
                marker, ledger, items, strength=strength, workers=workers, resume=resume, frames=all_frames, label=label
            )
        complete = _report_all(ledger, outcomes, len(items), as_json=as_json, debug=debug)
    if not complete:
        raise typer.Exit(1)


def _check_options(
    mode: str, strength: float | None, engine: str, address: str | None, out_dir: str | None, resume: bool
) -> None:
    from wam.marker import STRENGTHS

    if mode not in ("link", "record"):
        common.fail(f"--mode: expected link or record, found {mode}; choose one")
    if strength is not None and not STRENGTHS[0] <= strength <= STRENGTHS[1]:
        common.fail(f"--strength: expected {STRENGTHS[0]:g} to {STRENGTHS[1]:g} dB, found {strength:g}; 42 is usual")
    common.check_engine(engine, address)
    for option, wanted in (("--resume", resume), ("--engine ray", engine == "ray")):
        if wanted and out_dir is None:
            common.fail(f"{option}: expected --out-dir with it, whose manifest it needs, found none; add it")


def _fields(
    asset: str | None, asset_from: str | None, owner: str | None, user: str | None, time: str | None
) -> Callable[[Source], Fields]:
    """Gives the record's fields of each file; what is wrong for all of them ends the command."""
    from wam.jobs.plan import Fields, asset_from_list, asset_from_name

    if (asset is None) == (asset_from is None):
        found = "neither" if asset is None else "both"
        common.fail(f"asset: expected --asset or --asset-from, found {found}; give one; see wam embed --help")
    fields = Fields(asset, owner, user, time)
    kind, _, name = (asset_from or "").partition(":")
    try:
        if kind != "csv":
            Fields(asset or "any", owner, user, time).record()
        if asset is not None:
            return lambda source: fields
        if asset_from == "name":
            return asset_from_name(fields)
        if kind == "csv" and name:
            return asset_from_list(Path(name), fields)
    except (WamError, ValueError) as error:
        common.fail(error)
    common.fail(f"--asset-from: expected name or csv:FILE, found {asset_from}; choose one")


def _plan(
    images: list[str], output: str | None, out_dir: str | None, in_place: bool, fields: Callable[[Source], Fields]
) -> list[Item]:
    """What becomes of which file; an output that would do harm ends the command before anything is written."""
    from wam.jobs.plan import find_sources, find_targets, plan_records
    from wam.jobs.storage import locate

    file, folder = (None if name is None else locate(name) for name in (output, out_dir))
    try:
        sources = find_sources(images, without=[] if folder is None else [folder])
        targets = find_targets(sources, output=file, out_dir=folder, in_place=in_place)
    except WamError as error:
        common.fail(error)
    return plan_records(sources, targets, fields)


def _open_manifest(out_dir: str | None) -> Manifest | nullcontext[None]:
    """The manifest of the output folder, which is made."""
    from wam.jobs.manifest import Manifest
    from wam.jobs.storage import locate

    if out_dir is None:
        return nullcontext()
    folder = locate(out_dir)
    if isinstance(folder, Path):
        common.make_folder(folder)
    try:
        return Manifest(folder)
    except WamError as error:
        common.fail(error)


def _report_all(ledger: Ledger, outcomes: Generator[EmbedOutcome], total: int, *, as_json: bool, debug: bool) -> bool:
    """Prints each outcome; True when none of them is an error. Workers are done with their files when this returns."""
    complete = True
    with common.progress("embedding", total) as advance, closing(outcomes):
        for outcome in outcomes:
            if outcome.error is not None and debug:
                raise outcome.error
            complete = complete and outcome.error is None
            _report(ledger, outcome, as_json=as_json)
            advance()
    return complete


def _report(ledger: Ledger, outcome: EmbedOutcome, *, as_json: bool) -> None:
    from wam.jobs.ledger import failed_object

    if outcome.error is not None:
        message = common.about(outcome.item.source.location, outcome.error)
        common.report(message)
        values = failed_object(outcome.item, ledger.model, outcome.error, message)
        ledger.fail(outcome.item, outcome.error, values)
    elif outcome.result is not None:
        values = outcome.result.to_dict()
    else:
        values = {name: value for name, value in (outcome.earlier or {}).items() if name not in MANIFEST_ONLY}
    if as_json:
        common.print_json(values)
    elif outcome.result is not None:
        result = outcome.result
        typer.echo(common.marked_line(result.image, result.output, result.entry.link, result.written))
    elif outcome.error is None:
        typer.echo(f"{show_name(values['image'])} -> {show_name(values['output'])}  {values['link']}  done before")
