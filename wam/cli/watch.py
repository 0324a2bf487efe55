"""``wam watch``: a folder whose pictures are marked, or read, as they arrive."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wam.cli import common, label_options, panels
from wam.cli.by_server import ServerOption, refuse_with_server
from wam.cli.choices import Device, Mode
from wam.cli.embed_options import (
    Asset,
    AssetFrom,
    Backslashes,
    Encrypt,
    ModeOption,
    NewLink,
    Owner,
    Psnr,
    Quality,
    StrengthOption,
    Time,
    User,
    amount_of,
)
from wam.cli.embed_plan import record_fields
from wam.cli.lines import note
from wam.cli.watch_here import FOUND, marking, reading
from wam.cli.watch_there import marking_by_server, reading_by_server
from wam.cli.watched import Watched, Work
from wam.errors import show_name
from wam.models.catalogue import DEFAULT
from wam.packages import require_for

if TYPE_CHECKING:
    from wam.pictures.storage import Location

FAILED = "failed"  # below the folder that is watched

Folder = Annotated[
    Path,
    typer.Argument(
        metavar="IN", help="Folder that pictures are put into, with those below it.", parser=common.local_path
    ),
]
OutFolder = Annotated[
    str,
    typer.Argument(metavar="OUT", help="Folder for marked pictures under the same names, or with --read the report."),
]
Read = Annotated[
    bool,
    typer.Option(
        "--read",
        rich_help_panel=panels.READING,
        help=f"Read the pictures instead of marking them: a line for each in OUT/{FOUND}.",
    ),
]
FailedOption = Annotated[
    Path | None,
    typer.Option(
        "--failed",
        metavar="DIR",
        rich_help_panel=panels.OUTPUT,
        help="Where pictures go that cannot be used, with the reason beside them. Default: IN/failed.",
        parser=common.local_path,
    ),
]
DoneOption = Annotated[
    Path | None,
    typer.Option(
        "--done",
        metavar="DIR",
        rich_help_panel=panels.OUTPUT,
        help="Where the pictures of IN go when they are done; without it they stay.",
        parser=common.local_path,
    ),
]
Every = Annotated[
    float,
    typer.Option(
        "--every",
        metavar="S",
        min=0.05,
        max=86400,
        rich_help_panel=panels.RUNNING,
        help="Seconds between two looks at IN.",
    ),
]
Settle = Annotated[
    float,
    typer.Option(
        "--settle",
        metavar="S",
        min=0,
        max=86400,
        rich_help_panel=panels.RUNNING,
        help="A picture has arrived when its size and time have been the same for S seconds.",
    ),
]
Patience = Annotated[
    float,
    typer.Option(
        "--patience",
        metavar="S",
        min=0,
        max=86400,
        rich_help_panel=panels.RUNNING,
        help="One that cannot be used is tried again when it has been the same for S seconds, and then moved aside.",
    ),
]
Once = Annotated[
    bool,
    typer.Option(
        "--once",
        rich_help_panel=panels.RUNNING,
        help="End when all that is there is done; exit status 1 where some failed.",
    ),
]


def watch(
    folder: Folder,
    out: OutFolder,
    read: Read = False,
    asset: Asset = None,
    asset_from: AssetFrom = None,
    backslashes: Backslashes = False,
    owner: Owner = None,
    user: User = None,
    time: Time = None,
    new_link: NewLink = False,
    failed: FailedOption = None,
    done: DoneOption = None,
    every: Every = 2.0,
    settle: Settle = 5.0,
    patience: Patience = 60.0,
    once: Once = False,
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
    all_frames: common.FramesOption = False,
    follow_links: common.FollowOption = False,
    registry: common.RegistryOption = None,
    key_file: common.KeyOption = None,
    model: common.ModelOption = DEFAULT,
    device: common.DeviceOption = Device.AUTO,
    workers: common.WorkersOption = None,
    server: ServerOption = None,
    as_json: common.JsonOption = False,
    debug: common.DebugOption = False,
) -> None:
    """Mark pictures as they arrive in a folder, or read them (--read).

    A picture is taken when it is there whole, marked once, and known again after a restart; one that cannot be used
    goes to a folder of its own with the reason. What is not the picture's fault (the registry, a full disk, a drive
    that does not answer) is tried again later.

    Example: wam watch incoming marked --asset-from name --owner acme

    Reading: wam watch incoming found --read
    """
    require_for("wam watch")
    from wam.pictures.storage import locate

    said = label_options.disclosure_of(
        label, provider=provider, ai_system=ai_system, ai_version=ai_version, ai_prompt=ai_prompt,
        ai_prompt_writer=ai_prompt_writer,
    )  # fmt: skip
    aside = failed or folder / FAILED
    place = locate(out)
    _check_folders(folder, place, aside, done)
    common.make_folder(aside)
    if isinstance(place, Path):
        common.make_folder(place)
    if read:
        given = {
            "--asset": asset, "--asset-from": asset_from, "--owner": owner, "--user": user, "--time": time,
            "--new-link": new_link, "--encrypt": encrypt, "--strength": strength, "--psnr": psnr, "--quality": quality,
            "--label": label, "--mode": mode is not Mode.LINK,
        }  # fmt: skip
        _refuse_with_read([option for option, value in given.items() if value])
        if not isinstance(place, Path):
            common.fail(f"--read: expected a folder of this machine for the report, found {show_name(out)}; name one")
    elif mode is Mode.RECORD and new_link:
        common.fail("--new-link: expected it without --mode record, found both; a record in the pixels has no link")
    if server is not None:
        refuse_with_server(encrypt=encrypt, registry=registry, key_file=key_file, model=model != DEFAULT)
    opened: AbstractContextManager[Work]
    if read:
        assert isinstance(place, Path)
        if server is not None:
            opened = reading_by_server(server, place, frames=all_frames, workers=workers, as_json=as_json)
        else:
            load = common.marker_loader(model, device, [*common.read_keys(key_file), None])
            opened = reading(load, place, registry, frames=all_frames, workers=workers, as_json=as_json)
    else:
        fields = record_fields(asset, asset_from, owner, user, time, backslashes=backslashes)
        options = {
            "mode": mode.value, "strength": amount_of(strength, psnr), "label": said, "frames": all_frames,
            "encrypt": encrypt, "quality": quality,
        }  # fmt: skip
        if server is not None:
            opened = marking_by_server(
                server, place, fields, options, new_link=new_link, follow_links=follow_links, workers=workers,
                as_json=as_json,
            )  # fmt: skip
        else:
            key = next(iter(common.read_keys(key_file)), None)
            load = common.marker_loader(model, device, [key])
            opened = marking(
                load, place, registry, fields, options, key=key, new_link=new_link, follow_links=follow_links,
                workers=workers, as_json=as_json,
            )  # fmt: skip
    with opened as work:
        watched = Watched(work, folder, aside, done, place, settle=settle, patience=patience, debug=debug)
        note(f"watching {show_name(str(folder))}; Ctrl-C ends it")
        try:
            watched.run(every, once=once)
        except KeyboardInterrupt:
            note("ended")
        finally:
            typer.echo(f"{watched.finished} {work.verb}, {watched.failed} moved aside", err=True)
    if once and (watched.failed or watched.arrivals.waiting or watched.away):
        raise typer.Exit(1)


def _check_folders(folder: Path, out: Location, aside: Path, done: Path | None) -> None:
    """Ends the command for folders that would feed on one another."""
    from wam.pictures.storage import is_inside, place_of

    if not folder.is_dir():
        common.fail(f"{show_name(str(folder))}: expected a folder to watch, found none; make it first")
    others = [one for one in (out, aside, done) if one is not None]
    for one in others:
        if place_of(one) == place_of(folder) or is_inside(folder, one):
            name = show_name(str(one))
            common.fail(f"{name}: expected a folder other than IN and those above it, found one of them; name another")
    if len({place_of(one) for one in others}) < len(others):
        common.fail("OUT, --failed and --done: expected different folders, found one twice; name others")


def _refuse_with_read(options: Sequence[str]) -> None:
    if options:
        common.fail(f"--read: expected it without {options[0]}, found both; what is read is not marked")
