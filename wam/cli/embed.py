"""``wam embed``: mark pictures with a new short link each, or with the whole record."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import typer

from wam.cli import common, label_options, sign_options
from wam.cli.by_server import ServerOption, asked, client_of, embed_by_server, refuse_with_server
from wam.cli.choices import Device, Engine, Mode
from wam.cli.embed_options import (
    Asset,
    AssetFrom,
    Backslashes,
    Drop,
    Encrypt,
    InPlace,
    ModeOption,
    NewLink,
    OutDir,
    Output,
    Owner,
    Psnr,
    Quality,
    RecipientsOption,
    Resume,
    StrengthOption,
    Time,
    User,
    amount_of,
    mark_options,
)
from wam.cli.embed_plan import (
    Places,
    check_options,
    clean_up,
    folder_of_copies,
    open_manifest,
    plan_copies,
    plan_files,
    record_fields,
    refuse_with_recipients,
)
from wam.cli.print_embed import note_changes, report_all
from wam.cli.progress import STAGE_LINE
from wam.models.catalogue import DEFAULT
from wam.packages import require_for

if TYPE_CHECKING:
    from wam.jobs.engines.ray_pool import Cluster
    from wam.jobs.modes import MarkMode
    from wam.jobs.outcome import EmbedOutcome
    from wam.jobs.plan import Item
    from wam.pipeline.options import MarkOptions
    from wam.provenance.credentials import Credentials
    from wam.watermarker import Watermarker


@dataclass(frozen=True)
class _Work:
    """What is to be done: ``items`` written to ``places``, ``left_out`` inputs that are not; ``copies``: they are all
    of one picture; ``folder``: many files, which ends with a summary."""

    items: list[Item]
    left_out: int
    places: Places
    copies: bool
    folder: bool
    resume: bool


def embed(
    images: common.Images,
    asset: Asset = None,
    asset_from: AssetFrom = None,
    backslashes: Backslashes = False,
    owner: Owner = None,
    user: User = None,
    time: Time = None,
    recipients: RecipientsOption = None,
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

    A copy each: wam embed photo.jpg --recipients list.csv --asset 123 --owner acme -o copies
    """
    require_for("wam embed")
    from wam.jobs.engines.ray_pool import Cluster
    from wam.jobs.plan import Fields
    from wam.pipeline.options import key_name

    amount = amount_of(strength, psnr)
    if recipients is not None:
        refuse_with_recipients(
            {
                "user": user, "asset-from": asset_from, "in-place": in_place, "server": server,
                "mode record": mode is Mode.RECORD, "engine ray": engine is Engine.RAY,
            }
        )  # fmt: skip
        output, out_dir = None, folder_of_copies(output, out_dir)
    check_options(engine, address, out_dir, resume)
    if drop and not in_place:
        common.fail("--drop: expected --in-place with it, found none; other outputs leave the input as it is")
    if mode is Mode.RECORD and new_link:
        common.fail("--new-link: expected it without --mode record, found both; a record in the pixels has no link")
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
    places = Places(output, out_dir, in_place, follow_links)
    unread = left_out = 0
    if recipients is not None:
        items = plan_copies(images, recipients, places, Fields(asset, owner, None, time))
    else:
        fields = record_fields(asset, asset_from, owner, user, time, backslashes=backslashes)
        unread = common.note_unread(images, out_dir)
        items, left_out = plan_files(images, places, fields)
    others = (key_file, model, sign_cert, sign_key, recipients, (asset_from or "").partition("csv:")[2] or None)
    common.refuse_inputs([item.target for item in items], common.own_files(registry, *others), "choose another")
    clean_up(items)
    work = _Work(items, left_out + unread, places, recipients is not None, _is_folder(images, out_dir), resume)
    how = partial(
        mark_options, mode=mode.value, strength=amount, label=said, frames=all_frames, quality=quality, c2pa=c2pa,
    )  # fmt: skip
    if server is not None:
        refuse_with_server(
            encrypt=encrypt, registry=registry, key_file=key_file, model=model != DEFAULT,
            engine=engine is not Engine.LOCAL, in_place=in_place and not drop,
        )  # fmt: skip
        complete = _by_server(
            server, work, how(key=None, encrypt=False), new_link=new_link, source_type=signed_type, workers=workers,
            as_json=as_json, debug=debug,
        )  # fmt: skip
    else:
        key = next(iter(common.read_keys(key_file)), None)  # once: a pipe has nothing more to say
        load = common.marker_loader(model, device, [key])
        options = how(key=key_name(key), encrypt=encrypt, keep=in_place and not drop)
        if mode is Mode.RECORD and registry is not None:
            common.fail("--registry: expected it without --mode record, found both; leave it out or use --mode link")
        marker = common.loaded(load)
        cluster = Cluster(common.single_threaded(load), address, workers) if engine is Engine.RAY else None
        with _opened(marker, options, registry, work, new_link=new_link, credentials=credentials) as run:
            if resume:
                note_changes(run.journal, items)
            complete = report_all(
                run, _outcomes(marker, cluster, run, work, workers), items, work.left_out, summary=work.folder,
                resume=resume, as_json=as_json, debug=debug, to_stdout=output == "-",
            )  # fmt: skip
    if not complete:
        raise typer.Exit(1)


def _by_server(
    server: str,
    work: _Work,
    options: MarkOptions,
    *,
    new_link: bool,
    source_type: str | None,
    workers: int | None,
    as_json: bool,
    debug: bool,
) -> bool:
    """The same by a service; whether all files were marked."""
    from wam.jobs.journal import Journal

    client, places = client_of(server), work.places
    about = asked(client)
    if options.c2pa and not about.get("signs"):
        common.fail("--c2pa: expected a service that signs, found one that has no certificate; leave it out")
    with open_manifest(places.out_dir, follow_links=places.follow_links) as manifest:
        journal = Journal(str(about["model"]), manifest, options)
        if work.resume:
            note_changes(journal, work.items)
        return embed_by_server(
            client, work.items, journal, new_link=new_link, source_type=source_type, workers=workers,
            left_out=work.left_out, summary=work.folder, resume=work.resume, as_json=as_json,
            to_stdout=places.output == "-", debug=debug,
        )  # fmt: skip


@contextmanager
def _opened(
    marker: Watermarker,
    options: MarkOptions,
    registry: str | None,
    work: _Work,
    *,
    new_link: bool,
    credentials: Credentials | None,
) -> Iterator[MarkMode]:
    """The run in its mode: with a manifest if there is an output folder, and in link mode with the registry."""
    from wam.jobs.journal import Journal
    from wam.jobs.link_mode import LinkMode
    from wam.jobs.record_mode import RecordMode

    records = common.open_registry(registry, create=True) if options.mode == "link" else None
    with open_manifest(work.places.out_dir, follow_links=work.places.follow_links) as manifest:
        journal = Journal(marker.name, manifest, options, same_as=marker.model.description.same_as, key=marker.keys[0])
        if records is None:
            yield RecordMode(journal, credentials=credentials)
        else:
            yield LinkMode(records, journal, new_link=new_link, credentials=credentials, copies=work.copies)


def _outcomes(
    marker: Watermarker, cluster: Cluster | None, run: MarkMode, work: _Work, workers: int | None
) -> Generator[EmbedOutcome]:
    """The work itself, on the engine that was chosen."""
    from wam.jobs.engines.local import embed_locally
    from wam.jobs.engines.ray_data import embed_on_cluster
    from wam.jobs.engines.steps import LoadOnce, load_item

    if cluster is not None:
        return embed_on_cluster(cluster, run, work.items, resume=work.resume)
    return embed_locally(
        marker, run, work.items, workers=workers, resume=work.resume, load=LoadOnce() if work.copies else load_item,
        start_worker=common.one_thread if len(work.items) > 1 else STAGE_LINE.listen,
    )  # fmt: skip


def _is_folder(images: list[str], out_dir: str | None) -> bool:
    """Whether this is a run over many files, which ends with a summary."""
    return out_dir is not None or any(common.local_path(image).is_dir() for image in images)
