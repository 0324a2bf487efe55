"""``wam embed``: mark pictures with a new short link each, or with the whole record."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wam.cli import common, label_options, panels, sign_options
from wam.cli.by_server import ServerOption, asked, client_of, embed_by_server, refuse_with_server
from wam.cli.choices import Device, Engine, Mode
from wam.cli.lines import note
from wam.cli.print_embed import note_changes, report_all, show_few
from wam.cli.progress import STAGE_LINE
from wam.errors import WamError
from wam.models.catalogue import DEFAULT
from wam.packages import require_for

if TYPE_CHECKING:
    from wam.jobs.engines.ray_pool import Cluster
    from wam.jobs.manifest import Manifest
    from wam.jobs.modes import MarkMode
    from wam.jobs.outcome import EmbedOutcome
    from wam.jobs.plan import Fields, Item, Source
    from wam.networks.strength import Amount
    from wam.pipeline.options import MarkOptions
    from wam.provenance.credentials import Credentials
    from wam.watermarker import Watermarker

Asset = Annotated[
    str | None, typer.Option("--asset", metavar="ID", rich_help_panel=panels.RECORD, help="Asset ID of the pictures.")
]
AssetFrom = Annotated[
    str | None,
    typer.Option(
        "--asset-from",
        metavar="name|csv:FILE",
        rich_help_panel=panels.RECORD,
        help="One asset for each file: its name without extension, or its row of a CSV with the columns path, asset "
        "and, if wanted, owner, user, time.",
    ),
]
Backslashes = Annotated[
    bool,
    typer.Option(
        "--backslashes",
        rich_help_panel=panels.RECORD,
        help="Paths in the list of --asset-from have backslashes between their folders.",
    ),
]
Owner = Annotated[
    str | None, typer.Option("--owner", metavar="NAME", rich_help_panel=panels.RECORD, help="Who owns them.")
]
User = Annotated[
    str | None,
    typer.Option(
        "--user", metavar="ID", rich_help_panel=panels.RECORD, help="User ID, to trace who received or made them."
    ),
]
Time = Annotated[
    str | None,
    typer.Option(
        "--time",
        metavar="RFC3339",
        rich_help_panel=panels.RECORD,
        help="Ingest time, such as 2026-11-22T09:30:00Z; default now.",
    ),
]
Output = Annotated[
    str | None,
    typer.Option(
        "-o",
        "--output",
        metavar="FILE",
        rich_help_panel=panels.OUTPUT,
        help="Where to write, - for standard output; one input only.",
    ),
]
OutDir = Annotated[
    str | None,
    typer.Option(
        "--out-dir",
        metavar="DIR",
        rich_help_panel=panels.OUTPUT,
        help="Folder to write to, under the inputs' names, with a manifest of what was done.",
    ),
]
InPlace = Annotated[bool, typer.Option("--in-place", rich_help_panel=panels.OUTPUT, help="Replace the inputs.")]
Drop = Annotated[
    bool,
    typer.Option(
        "--drop",
        rich_help_panel=panels.OUTPUT,
        help="With --in-place: replace an input even where something in it is lost that no other copy can give back.",
    ),
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume",
        rich_help_panel=panels.OUTPUT,
        help="Skip what the manifest in --out-dir shows as done with the same settings, if source and output are still "
        "so; mark the rest.",
    ),
]
NewLink = Annotated[
    bool,
    typer.Option(
        "--new-link",
        rich_help_panel=panels.RECORD,
        help="A link of its own even for a picture that was marked before for the same asset, owner and user (and "
        "--time, where it is given), which gets the link it had otherwise.",
    ),
]
ModeOption = Annotated[
    Mode,
    typer.Option(
        "--mode",
        rich_help_panel=panels.MARKING,
        help="link: the mark is a short link, the record is in the registry. record: the whole record is in the "
        "picture, in many marks side by side, and is read without a registry.",
    ),
]
Encrypt = Annotated[
    bool,
    typer.Option(
        "--encrypt",
        rich_help_panel=panels.MARKING,
        help="With --mode record and a key: encrypt the record, too, besides authenticating it.",
    ),
]
StrengthOption = Annotated[
    str | None,
    typer.Option(
        "--strength",
        metavar="gentle|normal|strong",
        rich_help_panel=panels.MARKING,
        help="gentle is fainter and survives less, strong the other way. Default: normal, which gives each picture "
        "what it hides and what reading it takes.",
    ),
]
Psnr = Annotated[
    float | None,
    typer.Option(
        "--psnr",
        metavar="DB",
        rich_help_panel=panels.MARKING,
        help="In place of --strength: the PSNR to aim for, 30 to 55 dB (lower is more robust), whatever the picture.",
    ),
]

Quality = Annotated[
    int | None,
    typer.Option(
        "--quality",
        metavar="1-100",
        min=1,
        max=100,
        rich_help_panel=panels.MARKING,
        help="Of JPEG, WebP, AVIF and HEIC outputs. Default: the source's own tables or kind, fine where it has none.",
    ),
]


def embed(
    images: common.Images,
    asset: Asset = None,
    asset_from: AssetFrom = None,
    backslashes: Backslashes = False,
    owner: Owner = None,
    user: User = None,
    time: Time = None,
    new_link: NewLink = False,
    output: Output = None,
    out_dir: OutDir = None,
    in_place: InPlace = False,
    follow_links: common.FollowOption = False,
    drop: Drop = False,
    resume: Resume = False,
    mode: ModeOption = Mode.LINK,
    encrypt: Encrypt = False,
    strength: StrengthOption = None,
    psnr: Psnr = None,
    quality: Quality = None,
    label: label_options.LabelOption = None,
    provider: label_options.Provider = None,
    ai_system: label_options.AiSystem = None,
    ai_version: label_options.AiVersion = None,
    ai_prompt: label_options.AiPrompt = None,
    ai_prompt_writer: label_options.AiPromptWriter = None,
    c2pa: sign_options.C2pa = False,
    sign_cert: sign_options.SignCert = None,
    sign_key: sign_options.SignKey = None,
    tsa: sign_options.Tsa = None,
    source_type: sign_options.SourceType = None,
    ai_model: sign_options.AiModel = None,
    no_training: sign_options.NoTraining = False,
    all_frames: common.FramesOption = False,
    frames: common.OldFramesOption = None,
    registry: common.RegistryOption = None,
    key_file: common.KeyOption = None,
    model: common.ModelOption = DEFAULT,
    device: common.DeviceOption = Device.AUTO,
    workers: common.WorkersOption = None,
    engine: common.EngineOption = Engine.LOCAL,
    address: common.AddressOption = None,
    server: ServerOption = None,
    as_json: common.JsonOption = False,
    debug: common.DebugOption = False,
) -> None:
    """Mark pictures invisibly and register what the mark stands for.

    Each picture gets a 32-bit short link of its own, and the same link when it is marked again for the same record;
    asset, owner, user and time are kept in the registry, not in the pixels, unless --mode record puts them there. The
    marked file is read back before it is kept. Default output: NAME.wm.EXT beside the input.

    Example: wam embed photo.jpg --asset 123 --owner acme

    A folder: wam embed photos --out-dir marked --asset-from name --owner acme --resume
    """
    require_for("wam embed")
    from wam.jobs.engines.ray_pool import Cluster
    from wam.jobs.journal import Journal
    from wam.pipeline.options import key_name

    amount = amount_of(strength, psnr)
    _check_options(engine, address, out_dir, resume)
    if drop and not in_place:
        common.fail("--drop: expected --in-place with it, found none; other outputs leave the input as it is")
    all_frames = common.take_frames(all_frames, frames)
    said = label_options.disclosure_of(
        label, source_type, provider=provider, ai_system=ai_system, ai_version=ai_version, ai_prompt=ai_prompt,
        ai_prompt_writer=ai_prompt_writer,
    )  # fmt: skip
    signed_type = source_type if c2pa or said is None else None
    credentials = None
    if server is None:
        credentials = sign_options.credentials_of(
            c2pa, sign_cert, sign_key, tsa, signed_type, ai_model, no_training=no_training
        )
    else:
        sign_options.refuse_own(
            sign_cert=sign_cert, sign_key=sign_key, tsa=tsa, ai_model=ai_model, no_training=no_training
        )
    fields = record_fields(asset, asset_from, owner, user, time, backslashes=backslashes)
    unread = common.note_unread(images, out_dir)
    items, left_out = _plan(images, output, out_dir, in_place, fields, follow_links=follow_links)
    others = (key_file, model, sign_cert, sign_key, (asset_from or "").partition("csv:")[2] or None)
    common.refuse_inputs([item.target for item in items], common.own_files(registry, *others), "choose another")
    _sweep(items)
    if mode is Mode.RECORD and new_link:
        common.fail("--new-link: expected it without --mode record, found both; a record in the pixels has no link")
    if server is not None:
        refuse_with_server(
            encrypt=encrypt, registry=registry, key_file=key_file, model=model != DEFAULT,
            engine=engine is not Engine.LOCAL, in_place=in_place and not drop,
        )  # fmt: skip
        asked_for = mark_options(
            mode=mode.value, strength=amount, label=said, frames=all_frames, key=None, encrypt=False,
            quality=quality, c2pa=c2pa,
        )  # fmt: skip
        client = client_of(server)
        about = asked(client)
        if c2pa and not about.get("signs"):
            common.fail("--c2pa: expected a service that signs, found one that has no certificate; leave it out")
        with open_manifest(out_dir, follow_links=follow_links) as manifest:
            journal = Journal(str(about["model"]), manifest, asked_for)
            if resume:
                note_changes(journal, items)
            complete = embed_by_server(
                client, items, journal, new_link=new_link, source_type=signed_type, workers=workers,
                left_out=left_out + unread, summary=_is_folder(images, out_dir), resume=resume, as_json=as_json,
                to_stdout=output == "-", debug=debug,
            )  # fmt: skip
        if not complete:
            raise typer.Exit(1)
        return
    key = next(iter(common.read_keys(key_file)), None)  # once: a pipe has nothing more to say
    load = common.marker_loader(model, device, [key])
    keyed = key_name(key)
    options = mark_options(
        mode=mode.value, strength=amount, label=said, frames=all_frames, key=keyed, encrypt=encrypt,
        quality=quality, keep=in_place and not drop, c2pa=c2pa,
    )  # fmt: skip
    if mode is Mode.RECORD and registry is not None:
        common.fail("--registry: expected it without --mode record, found both; leave it out or use --mode link")
    marker = common.loaded(load)
    cluster = Cluster(common.single_threaded(load), address, workers) if engine is Engine.RAY else None
    with _opened(
        marker, options, registry, out_dir, new_link=new_link, follow_links=follow_links, credentials=credentials
    ) as run:
        if resume:
            note_changes(run.journal, items)
        outcomes = _outcomes(marker, cluster, run, items, workers, resume)
        complete = report_all(
            run, outcomes, items, left_out + unread, summary=_is_folder(images, out_dir), resume=resume,
            as_json=as_json, debug=debug, to_stdout=output == "-",
        )  # fmt: skip
    if not complete:
        raise typer.Exit(1)


@contextmanager
def _opened(
    marker: Watermarker,
    options: MarkOptions,
    registry: str | None,
    out_dir: str | None,
    *,
    new_link: bool,
    follow_links: bool,
    credentials: Credentials | None,
) -> Iterator[MarkMode]:
    """The run in its mode: with a manifest if there is an output folder, and in link mode with the registry."""
    from wam.jobs.journal import Journal
    from wam.jobs.link_mode import LinkMode
    from wam.jobs.record_mode import RecordMode

    records = common.open_registry(registry, create=True) if options.mode == "link" else None
    with open_manifest(out_dir, follow_links=follow_links) as manifest:
        journal = Journal(marker.name, manifest, options, same_as=marker.model.description.same_as, key=marker.keys[0])
        if records is None:
            yield RecordMode(journal, credentials=credentials)
        else:
            yield LinkMode(records, journal, new_link=new_link, credentials=credentials)


def _outcomes(
    marker: Watermarker, cluster: Cluster | None, run: MarkMode, items: list[Item], workers: int | None, resume: bool
) -> Generator[EmbedOutcome]:
    """The work itself, on the engine that was chosen."""
    from wam.jobs.engines.local import embed_locally
    from wam.jobs.engines.ray_data import embed_on_cluster

    if cluster is not None:
        return embed_on_cluster(cluster, run, items, resume=resume)
    start = common.one_thread if len(items) > 1 else STAGE_LINE.listen
    return embed_locally(marker, run, items, workers=workers, resume=resume, start_worker=start)


def _is_folder(images: list[str], out_dir: str | None) -> bool:
    """Whether this is a run over many files, which ends with a summary."""
    return out_dir is not None or any(common.local_path(image).is_dir() for image in images)


def amount_of(strength: str | None, psnr: float | None) -> Amount:
    """How strong marks are; wrong words and numbers end the command. A number as ``--strength`` is what ``--psnr`` is
    now: taken for one version more, and said."""
    from wam.networks.strength import either

    amount: Amount = strength
    with suppress(ValueError):
        amount = None if strength is None else float(strength)
    try:
        chosen = either(amount, psnr)
    except ValueError as error:
        common.fail(f"--{error}")
    if isinstance(amount, float):
        common.hint(f"--strength {strength}", f"--psnr {strength}")
    return chosen


def _check_options(engine: Engine, address: str | None, out_dir: str | None, resume: bool) -> None:
    common.check_engine(engine, address)
    for option, wanted in (("--resume", resume), ("--engine ray", engine is Engine.RAY)):
        if wanted and out_dir is None:
            common.fail(f"{option}: expected --out-dir with it, whose manifest it needs, found none; add it")


def mark_options(**values: Any) -> MarkOptions:
    """How pictures are marked; options that make no sense, alone or together, end the command."""
    from wam.pipeline.options import MarkOptions

    if values["encrypt"] and values["mode"] == "record" and values["key"] is None:
        common.fail("--encrypt: expected a key, found none; give --key-file or set WAM_KEY")
    try:
        return MarkOptions(**values)
    except WamError as error:
        common.fail(f"--{error}")


def record_fields(
    asset: str | None,
    asset_from: str | None,
    owner: str | None,
    user: str | None,
    time: str | None,
    *,
    backslashes: bool,
) -> Callable[[Source], Fields]:
    """Gives the record's fields of each file; what is wrong for all of them ends the command."""
    from wam.jobs.asset_list import asset_from_list, asset_from_name
    from wam.jobs.plan import Fields

    if (asset is None) == (asset_from is None):
        found = "neither" if asset is None else "both"
        common.fail(f"asset: expected --asset or --asset-from, found {found}; give one; see wam embed --help")
    fields = Fields(asset, owner, user, time)
    kind, _, name = (asset_from or "").partition(":")
    try:
        if asset is not None:
            fields.record()
        else:  # what the list or the name adds is checked file by file
            Fields("any", "any" if owner is None and kind == "csv" else owner, user, time).record()
        if asset is not None:
            return lambda source: fields
        if asset_from == "name":
            return asset_from_name(fields)
        if kind == "csv" and name:
            return asset_from_list(Path(name), fields, backslashes=backslashes)
    except (WamError, ValueError) as error:
        common.fail(error)
    common.fail(f"--asset-from: expected name or csv:FILE, found {asset_from}; choose one")


def _plan(
    images: list[str],
    output: str | None,
    out_dir: str | None,
    in_place: bool,
    fields: Callable[[Source], Fields],
    *,
    follow_links: bool,
) -> tuple[list[Item], int]:
    """What becomes of which file, and how many earlier outputs among the inputs are left out; an output that would do
    harm ends the command before anything is written."""
    from wam.jobs.plan import (
        find_sources,
        find_targets,
        leave_out_outputs,
        output_folders,
        plan_records,
        refuse_links_out,
    )
    from wam.pictures.storage import locate

    file, folder = (None if name is None else locate(name) for name in (output, out_dir))
    try:
        found = find_sources(images, without=[] if folder is None else [folder])
        sources, left_out = leave_out_outputs(found, images)
        targets = find_targets(sources, output=file, out_dir=folder, in_place=in_place)
        if file is None and not follow_links:
            refuse_links_out(targets, output_folders(images, out_dir=folder, in_place=in_place))
        items = plan_records(sources, targets, fields)
    except WamError as error:
        common.fail(error)
    if left_out:
        names = show_few([str(source.location) for source in left_out])
        note(f"skipped {len(left_out)} earlier outputs (.wm.) beside their originals: {names}; name one to mark it too")
    return items, len(left_out)


def _sweep(items: list[Item]) -> None:
    """Removes what runs that were killed left in the folders that are written to."""
    from wam.pictures.atomic_write import sweep

    for folder in {item.target.parent for item in items if isinstance(item.target, Path)}:
        sweep(folder)


def open_manifest(out_dir: str | None, *, follow_links: bool) -> Manifest | nullcontext[None]:
    """The manifest of the output folder, which is made."""
    from wam.jobs.manifest import Manifest
    from wam.pictures.storage import locate

    if out_dir is None:
        return nullcontext()
    folder = locate(out_dir)
    if isinstance(folder, Path):
        common.make_folder(folder)
    try:
        return Manifest(folder, follow_links=follow_links)
    except WamError as error:
        common.fail(error)
