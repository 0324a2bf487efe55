"""``wam serve``: detector and marker over HTTP, with a page for people, and the API keys of those who may do more."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wam.cli import common, panels, sign_options
from wam.cli.choices import Device, KeyRole, PublicView
from wam.cli.garbage import collect_as_usual
from wam.cli.lines import note
from wam.errors import WamError, show_name
from wam.models.catalogue import DEFAULT
from wam.packages import require_for

if TYPE_CHECKING:
    from wam.provenance.credentials import Credentials
    from wam.service.api_keys import KeyStore
    from wam.service.settings import Settings

MEGA = 1_000_000
MEBI = 1 << 20
KEY_ROW = "{:<10}  {:<16}  {:<8}  {:<12}  {:<5}  {:<20}  {}"

ApiKeysOption = Annotated[
    Path | None,
    typer.Option(
        "--api-keys",
        metavar="FILE",
        rich_help_panel=panels.SHOWN,
        help="File of API keys, hashed. Default: $WAM_API_KEYS, then the user's data folder.",
        parser=common.local_path,
    ),
]

serve_app = panels.Commands(invoke_without_command=True)
keys_app = panels.Commands(no_args_is_help=True, help="API keys: who holds one may do more than read.")
serve_app.add_typer(keys_app, name="keys")


@serve_app.callback()
def serve(
    context: typer.Context,
    host: Annotated[
        str, typer.Option("--host", metavar="ADDRESS", rich_help_panel=panels.RUNNING, help="Address to listen on.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=1, max=65535, rich_help_panel=panels.RUNNING, help="Port to listen on.")
    ] = 8000,
    proxies: Annotated[
        str | None,
        typer.Option(
            "--behind",
            metavar="ADDRESSES",
            rich_help_panel=panels.RUNNING,
            help="Proxies that are believed when they say whose request it is, apart by commas.",
        ),
    ] = None,
    registry: common.RegistryOption = None,
    key_file: common.KeyOption = None,
    model: common.ModelOption = DEFAULT,
    device: common.DeviceOption = Device.AUTO,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            min=1,
            metavar="N",
            rich_help_panel=panels.RUNNING,
            help="Processes that read and mark; default: one for each GPU, or for each CPU, two at least.",
        ),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(
            "--batch",
            min=1,
            max=64,
            metavar="N",
            rich_help_panel=panels.RUNNING,
            help="Pictures of several requests that one process reads together; default: 8 on a GPU, 1 on CPUs.",
        ),
    ] = None,
    api_keys: ApiKeysOption = None,
    public_view: Annotated[
        PublicView,
        typer.Option(
            "--public-view",
            rich_help_panel=panels.SHOWN,
            help="What callers without a key are shown: public names the owner only, partner the asset too, staff all.",
        ),
    ] = PublicView.PUBLIC,
    fetch_urls: Annotated[
        bool,
        typer.Option(
            "--fetch-urls",
            rich_help_panel=panels.SHOWN,
            help="Fetch pictures that callers name by URL, from public addresses only.",
        ),
    ] = False,
    open_metrics: Annotated[
        bool,
        typer.Option("--open-metrics", rich_help_panel=panels.SHOWN, help="Show /metrics to callers without a key."),
    ] = False,
    rate: Annotated[
        int,
        typer.Option(
            "--rate", min=1, rich_help_panel=panels.BOUNDS, help="Requests a minute for each address without a key."
        ),
    ] = 30,
    seconds: Annotated[
        float,
        typer.Option(
            "--seconds",
            min=0.1,
            max=86400,
            metavar="S",
            rich_help_panel=panels.BOUNDS,
            help="Seconds that a search may take.",
        ),
    ] = 20.0,
    max_size: Annotated[
        float,
        typer.Option(
            "--max-size",
            min=0.1,
            max=1024,
            metavar="MIB",
            rich_help_panel=panels.BOUNDS,
            help="Largest upload, in MiB.",
        ),
    ] = 32.0,
    max_pixels: Annotated[
        float,
        typer.Option(
            "--max-megapixels", min=0.1, max=120, metavar="MP", rich_help_panel=panels.BOUNDS, help="Largest picture."
        ),
    ] = 50.0,
    memory: Annotated[
        float,
        typer.Option(
            "--memory",
            min=256,
            max=1e6,
            metavar="MIB",
            rich_help_panel=panels.BOUNDS,
            help="Memory above which a worker is killed.",
        ),
    ] = 4096.0,
    queue: Annotated[
        int,
        typer.Option(
            "--queue", min=0, rich_help_panel=panels.BOUNDS, help="Pictures that may wait; more are answered 429."
        ),
    ] = 16,
    jobs: Annotated[
        Path | None,
        typer.Option(
            "--jobs",
            metavar="DIR",
            rich_help_panel=panels.RUNNING,
            help="Folder for jobs, which outlive the process there. Default: beside the registry's file, or --shared.",
            parser=common.local_path,
        ),
    ] = None,
    shared: Annotated[
        str | None,
        typer.Option(
            "--shared",
            metavar="URL",
            rich_help_panel=panels.SEVERAL,
            help="Folder that all machines mount, or fsspec URL such as s3://bucket/wam, for overlays and jobs.",
        ),
    ] = None,
    rates: Annotated[
        str | None,
        typer.Option(
            "--rates",
            metavar="URL",
            rich_help_panel=panels.SEVERAL,
            help="Where all machines count requests, such as redis://host:6379 (package redis).",
        ),
    ] = None,
    sign_cert: sign_options.SignCert = None,
    sign_key: sign_options.SignKey = None,
    tsa: sign_options.Tsa = None,
    debug: common.DebugOption = False,
) -> None:
    """Serve detector and marker over HTTP, with a page for people at /.

    Without a key everybody may have pictures read, and is told whose marks are in them. Who holds an API key may do
    more: wam serve keys new. What the API takes and answers is at /openapi.json.

    Example: wam serve --port 8000
    """
    if context.invoked_subcommand is not None:
        return
    require_for("wam serve")
    from wam.service.server import build, run
    from wam.service.setup import Accelerators, Setup, accelerators, default_batch, default_workers

    collect_as_usual(keep=True)  # no model is loaded here, and what requests leave is not to pile up
    settings = _settings(
        public_view, fetch_urls, open_metrics, rate, seconds, max_size, max_pixels, memory, queue, shared, rates,
        _jobs_folder(jobs, registry, shared), sign_options.service_signer(sign_cert, sign_key, tsa),
    )  # fmt: skip
    load = common.single_threaded(common.marker_loader(model, device, [*common.read_keys(key_file), None]))
    records = common.open_registry(registry, create=True)
    keys = _store(api_keys)
    limits = settings.limits
    found = Accelerators() if device is Device.CPU else accelerators()
    count = workers or default_workers(device.value, _cpus(), found)
    gpus = found.gpus if device in (Device.AUTO, Device.CUDA) else ()
    setup = Setup(load, registry, limits.max_pixels, limits.max_frames, gpus)
    try:
        house = build(setup, count, records, settings, batch=batch or default_batch(device.value, found))
    except WamError as error:
        common.fail(f"--{error}")
    note(f"http://{host}:{port}/ is the page, /openapi.json the API; Ctrl-C ends it")
    try:
        run(house, keys, host=host, port=port, proxies=proxies or "")
    except KeyboardInterrupt:
        note("ended")
    except WamError as error:
        common.fail(error)


serve_app.info.help = panels.explained(serve)


@keys_app.command()
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who or what it is for.")],
    role: Annotated[
        KeyRole,
        typer.Option(
            "--role",
            help="marker may mark, auditor may look up records and see all of a result, admin may withdraw as well.",
        ),
    ],
    owner: Annotated[
        str | None, typer.Option("--owner", metavar="NAME", help="The only owner whose records it may write.")
    ] = None,
    rate: Annotated[int | None, typer.Option("--rate", min=1, help="Requests a minute; default: 600.")] = None,
    api_keys: ApiKeysOption = None,
) -> None:
    """Make an API key. It is shown once, and its hash kept.

    Example: wam serve keys new shop --role marker --owner acme
    """
    from wam.service.roles import Role

    try:
        key, made = _store(api_keys).new(name, Role(role.value), owner=owner, rate=rate)
    except WamError as error:
        common.fail(error)
    typer.echo(key)
    note(f"key {made.id} of {made.name}, role {made.role}: shown this once; wam serve keys revoke {made.id} ends it")


@keys_app.command(name="list")
def list_(api_keys: ApiKeysOption = None, as_json: common.JsonRowsOption = False) -> None:
    """List the API keys there are, without what would let anybody use them.

    Example: wam serve keys list --json
    """
    try:
        keys = _store(api_keys).list()
    except WamError as error:
        common.fail(error)
    if keys and not as_json:
        typer.echo(KEY_ROW.format("ID", "NAME", "ROLE", "OWNER", "RATE", "CREATED", "REVOKED"))
    for key in keys:
        values = {
            "id": key.id,
            "name": key.name,
            "role": key.role.value,
            "owner": key.owner,
            "rate": key.rate,
            "created": key.created,
            "revoked": key.revoked,
        }
        if as_json:
            common.print_json(values)
        else:
            typer.echo(KEY_ROW.format(*("-" if value is None else str(value) for value in values.values())))


@keys_app.command()
def revoke(
    id: Annotated[str, typer.Argument(metavar="ID", help="Of the key, as wam serve keys list shows it.")],
    api_keys: ApiKeysOption = None,
) -> None:
    """Take an API key back. A service that runs refuses it from its next request on.

    Example: wam serve keys revoke 0a1b2c3d4e
    """
    try:
        key = _store(api_keys).revoke(id)
    except WamError as error:
        common.fail(error, code=1)
    typer.echo(f"{key.id} revoked")


def _cpus() -> int:
    """CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _store(place: Path | None) -> KeyStore:
    from wam.service.api_keys import KeyStore, default_place

    return KeyStore(place or default_place())


def _settings(
    public_view: PublicView,
    fetch_urls: bool,
    open_metrics: bool,
    rate: int,
    seconds: float,
    max_size: float,
    max_pixels: float,
    memory: float,
    queue: int,
    shared: str | None,
    rates: str | None,
    jobs: Path | None,
    signer: Credentials | None,
) -> Settings:
    """The same as the service takes it."""
    from wam.service.roles import View
    from wam.service.settings import Limits, Settings

    limits = Limits(
        max_bytes=round(max_size * MEBI),
        max_pixels=round(max_pixels * MEGA),
        seconds=seconds,
        memory=round(memory * MEBI),
        queue=queue,
        address_rate=rate,
    )
    return Settings(
        limits,
        View(public_view.value),
        fetch_urls,
        open_metrics=open_metrics,
        shared=shared,
        rates=rates,
        jobs=jobs,
        signer=signer,
    )


def _jobs_folder(given: Path | None, registry: str | None, shared: str | None) -> Path | None:
    """Where jobs lie, made for this user only; None where they are in what machines share."""
    from payload.errors import RegistryError
    from payload.registry.database import files_of
    from wam.service.api_keys import default_place

    if given is not None and shared is not None:
        common.fail("--jobs: expected it without --shared, found both; jobs are in what machines share")
    if shared is not None:
        return None
    try:
        files = files_of(registry)
    except RegistryError as error:
        common.fail(f"--{error}")
    folder = given or (files[0].with_name(f"{files[0].name}.jobs") if files else default_place().with_name("jobs"))
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        name, found = show_name(str(folder)), error.strerror or str(error)
        common.fail(f"--jobs: expected a folder that can be made, found {name}: {found}; name another")
    return folder
