"""What the commands share: options, loading, errors as one line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from payload import PayloadError
from wam.cli import panels
from wam.cli.choices import Device, Engine, Precision
from wam.cli.garbage import collect_as_usual
from wam.cli.lines import fail as fail
from wam.cli.lines import note
from wam.cli.lines import report as report
from wam.errors import WamError
from wam.models.convolutions import keep_few_convolutions

if TYPE_CHECKING:
    from payload.registry import Registry
    from wam.jobs.plan import Unread
    from wam.watermarker import Watermarker

Images = Annotated[
    list[str], typer.Argument(metavar="IMAGE...", help="Files, folders (recursed) or - (standard input).")
]
ModelOption = Annotated[
    str, typer.Option("--model", metavar="NAME|PATH", rich_help_panel=panels.RUNNING, help="Model to use.")
]
DeviceOption = Annotated[
    Device, typer.Option("--device", rich_help_panel=panels.RUNNING, help="Where the networks run.")
]
RegistryOption = Annotated[
    str | None,
    typer.Option(
        "--registry",
        metavar="URL",
        rich_help_panel=panels.REGISTRY,
        help="Registry: a file or database URL. Default: $WAM_REGISTRY, the first where it is a list, then the user's "
        "data folder.",
    ),
]
RegistriesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--registry",
        metavar="URL",
        rich_help_panel=panels.REGISTRY,
        help="Registry to look records up in: a file or database URL; may be given several times, to be asked in that "
        "order. Default: those of $WAM_REGISTRY, with | between, then the user's data folder.",
    ),
]
KeyOption = Annotated[
    Path | None,
    typer.Option(
        "--key-file",
        rich_help_panel=panels.REGISTRY,
        help="File with a secret key (16 bytes or more): marks are unreadable without it.",
    ),
]
PrecisionOption = Annotated[
    Precision,
    typer.Option(
        "--precision",
        rich_help_panel=panels.RUNNING,
        help="What the network computes in; auto: bf16 where the device has it, which is faster and reads as well.",
    ),
]
FramesOption = Annotated[
    bool,
    typer.Option(
        "--all-frames",
        rich_help_panel=panels.READING,
        help="Take animations (GIF, WebP, PNG, AVIF) with all their frames; refused otherwise.",
    ),
]
OldFramesOption = Annotated[str | None, typer.Option("--frames", hidden=True)]  # the spelling of 0.2.0
JsonOption = Annotated[
    bool, typer.Option("--json", rich_help_panel=panels.PRINTING, help="One JSON object per image on standard output.")
]
JsonRowsOption = Annotated[
    bool, typer.Option("--json", rich_help_panel=panels.PRINTING, help="JSON on standard output, one object a line.")
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=1,
        metavar="N",
        rich_help_panel=panels.RUNNING,
        help="Files at a time; default: one for each CPU.",
    ),
]
FollowOption = Annotated[
    bool,
    typer.Option("--follow-links", help="Write through links that lead out of an output folder; refused otherwise."),
]
EngineOption = Annotated[
    Engine,
    typer.Option(
        "--engine", rich_help_panel=panels.RUNNING, help="Where the work is done; ray needs the extra \\[ray]."
    ),
]
AddressOption = Annotated[
    str | None,
    typer.Option(
        "--address",
        metavar="HOST:PORT",
        rich_help_panel=panels.RUNNING,
        help="Ray cluster to use; default: one started here.",
    ),
]


@dataclass
class Told:
    """What the command line says of itself, for whoever started it."""

    debug: bool = False


def _tell(context: typer.Context, debug: bool) -> bool:
    told = context.find_root().obj
    if isinstance(told, Told):
        told.debug = debug
    return debug


DebugOption = Annotated[
    bool,
    typer.Option(
        "--debug", callback=_tell, rich_help_panel=panels.PRINTING, help="Show the full traceback of an error."
    ),
]

EXPECTED_ERRORS = (WamError, PayloadError, ValueError, OSError, MemoryError, RuntimeError)  # torch raises the last


def check_engine(engine: Engine, address: str | None) -> None:
    """Ends the command for an address that nobody would use."""
    if address is not None and engine is not Engine.RAY:
        fail("--address: expected --engine ray with it, found the local engine; add it")


def take_frames(all_frames: bool, old: str | None) -> bool:
    """Whether animations are taken, also as 0.2.0 spelt it; any other word than all ends the command."""
    if old is None:
        return all_frames
    if old != "all":
        fail(f"--frames: expected all, found {old}; leave it out for still pictures, or use --all-frames")
    hint("--frames all", "--all-frames")
    return True


def hint(old: str, new: str) -> None:
    """Names the new spelling of what still works as 0.2.0 spelt it, on standard error."""
    typer.echo(f"note: {old} is now {new}; the old spelling goes with the next version", err=True)


def make_folder(folder: Path) -> None:
    """Makes an output folder and those above it, or ends the command with one error line."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        fail(f"{folder}: expected a folder to write to, found: {error.strerror}; choose another")


def loaded(load: Callable[[], Watermarker]) -> Watermarker:
    """The model, or one error line and exit status 2."""
    try:
        model = load()
    except WamError as error:
        fail(error)
    collect_as_usual(keep=True)
    return model


def local_path(text: str) -> Path:
    """A path of this machine as an option gives it, also as a ``file://`` URL."""
    from wam.pictures.storage import locate

    found = locate(text)
    return found if isinstance(found, Path) else Path(text)


def note_unread(images: list[str], *outputs: str | Path | None) -> int:
    """Says which pictures in input folders are of kinds that are not read, and how many there are."""
    from wam.jobs.plan import find_unread
    from wam.pictures.storage import locate

    found = find_unread(images, without=[locate(str(folder)) for folder in outputs if folder is not None])
    say_unread(found)
    return found.count


def say_unread(found: Unread) -> None:
    """Names the pictures of kinds that are not read, where there are any."""
    if found.count:
        names = [f"{name} ({kind})" for name, kind in found.first]
        more = f" and {found.count - len(names)} more" if found.count > len(names) else ""
        shown = ", ".join(names) + more
        note(f"passed over {found.count} of kinds that are not read: {shown}; convert them to PNG or JPEG")


def own_files(registry: str | Sequence[str] | None, *others: str | Path | None) -> list[str | Path]:
    """What a command reads beside pictures, which no output may take the place of: files of registries and others."""
    from payload.registry.database import files_of
    from payload.registry.places import listed

    try:
        files = [
            file for url in listed([registry] if isinstance(registry, str) else registry) for file in files_of(url)
        ]
    except PayloadError:
        files = []  # opening it says why
    return [*files, *(other for other in others if other is not None)]


def refuse_inputs(targets: Iterable[str | Path | None], sources: Iterable[str | Path], remedy: str) -> None:
    """Ends the command if an output is one of the inputs, whatever way it is named."""
    from wam.jobs.plan import Source
    from wam.jobs.plan import refuse_inputs as refuse

    try:
        refuse(targets, [Source(source, "") for source in sources], remedy)
    except WamError as error:
        fail(error)


def marker_loader(
    model: str, device: str, keys: Sequence[bytes | None], *, precision: str = "auto"
) -> Callable[[], Watermarker]:
    """What makes the model, here or in another process; torch is not imported before it does."""
    return partial(_load, model, device=device, keys=list(keys), precision=precision)


def _load(model: str, **how: Any) -> Watermarker:
    from wam import watermarker

    return watermarker.load(model, **how)


def one_thread() -> None:
    """Keeps the networks to one thread of this worker's: several files are worked on side by side, and threads that
    wait for one another took 9 times the CPU beside other work. Pictures of a folder have many sizes, so few compiled
    convolutions are kept."""
    keep_few_convolutions()
    import torch

    torch.set_num_threads(1)


def single_threaded(load: Callable[[], Watermarker]) -> Callable[[], Watermarker]:
    """The same for a process of its own, whose model ``load`` makes."""
    return partial(_load_single_threaded, load)


def _load_single_threaded(load: Callable[[], Watermarker]) -> Watermarker:
    one_thread()
    return load()


def read_keys(path: Path | None) -> tuple[bytes, ...]:
    """The secret key of a file, or of $WAM_KEY; one error line and exit status 2 for what is no key."""
    from wam.pipeline.key_file import read_keys as read

    try:
        return read(path)
    except WamError as error:
        fail(error)


def open_registry(url: str | None, *, create: bool) -> Registry:
    """The registry, or one error line and exit status 2."""
    from payload.registry import Registry

    try:
        return Registry.open(url, create=create)
    except PayloadError as error:
        fail(error)


def open_registries(urls: Sequence[str] | None) -> list[Registry]:
    """The registries to look records up in; a default one that was never made is none, any other failure ends the
    command."""
    from payload.registry.places import none_made

    try:
        if none_made(urls):  # SQLAlchemy takes a fifth of a second
            return []
        from payload.registry import Registry

        return Registry.open_listed(urls)
    except PayloadError as error:
        fail(error)


def print_json(value: Mapping[str, Any], *, err: bool = False) -> None:
    """One JSON line on standard output, or on standard error."""
    typer.echo(json.dumps(value, ensure_ascii=True), err=err)
