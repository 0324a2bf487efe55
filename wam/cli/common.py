"""What the commands share: options, loading, errors as one line, progress."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

from payload import PayloadError
from wam.errors import WamError, show_name

if TYPE_CHECKING:
    from payload.registry import Registry
    from wam.marker import Watermarker

Images = Annotated[
    list[str], typer.Argument(metavar="IMAGE...", help="Files, folders (recursed) or - (standard input).")
]
ModelOption = Annotated[str, typer.Option("--model", metavar="NAME|PATH", help="Model to use.")]
DeviceOption = Annotated[str, typer.Option("--device", metavar="auto|cpu|cuda|mps", help="Where the networks run.")]
RegistryOption = Annotated[
    str | None,
    typer.Option(
        "--registry",
        metavar="URL",
        help="Registry: a file or database URL. Default: $WAM_REGISTRY, then the user's data folder.",
    ),
]
KeyOption = Annotated[
    Path | None,
    typer.Option("--key-file", help="File with a secret key (16 bytes or more): marks are unreadable without it."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object per image on standard output.")]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show the full traceback of an error.")]

DEFAULT_MODEL = "lattice32"
SHORTEST_KEY = 16  # bytes
REMEDY = "make one with: openssl rand -hex 32"
EXPECTED_ERRORS = (WamError, PayloadError, ValueError, OSError, MemoryError, RuntimeError)  # torch raises the last
Item = TypeVar("Item")


def fail(message: object, *, code: int = 2) -> NoReturn:
    """Prints one error line and ends the command."""
    report(message)
    raise typer.Exit(code)


def report(message: object) -> None:
    """One error line on standard error."""
    typer.echo(f"error: {show_name(str(message))}", err=True)


def make_folder(folder: Path) -> None:
    """Makes an output folder and those above it, or ends the command with one error line."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        fail(f"{folder}: expected a folder to write to, found: {error.strerror}; choose another")


def refuse_inputs(targets: Iterable[Path | None], sources: Iterable[str | Path], remedy: str) -> None:
    """Ends the command if an output is one of the inputs, whatever way it is named."""
    inputs = {Path(source).resolve() for source in sources if source != "-"}
    for target in targets:
        if target is not None and target.resolve() in inputs:
            fail(f"{target}: expected an output other than the input, found the input; {remedy}")


def load_marker(model: str, device: str, key_file: Path | None, *, reading: bool) -> Watermarker:
    """The model, with the carriers of the keys: a reader tries the public one as well."""
    from wam.library import load

    key = read_key(key_file)
    keys: list[bytes | None] = [key] if key is not None else [None]
    if reading and key is not None:
        keys.append(None)
    try:
        return load(model, device=device, keys=keys)
    except WamError as error:
        fail(error)


def read_key(path: Path | None) -> bytes | None:
    """The secret key of a file, or of $WAM_KEY, or None."""
    if path is None:
        key = os.environ.get("WAM_KEY", "").encode()
        source = "$WAM_KEY"
    else:
        try:
            key = path.read_bytes().strip()
        except OSError as error:
            fail(f"{path}: expected a readable key file, found {error.strerror}; check the name")
        source = str(path)
    if not key and path is None:
        return None
    if len(key) < SHORTEST_KEY:
        fail(f"{source}: expected a key of at least {SHORTEST_KEY} bytes, found {len(key)}; {REMEDY}")
    return key


def open_registry(url: str | None, *, create: bool) -> Registry:
    """The registry, or one error line and exit status 2."""
    from payload.registry import Registry

    try:
        return Registry.open(url, create=create)
    except PayloadError as error:
        fail(error)


def open_registry_for_reading(url: str | None) -> Registry | None:
    """The registry if there is one; a default one that was never made is none, any other failure ends the command."""
    from payload.database import locate
    from payload.registry import Registry

    try:
        place = locate(url)
        never_made = url is None and not os.environ.get("WAM_REGISTRY") and not Path(str(place.database)).exists()
        return None if never_made else Registry.open(url, create=False)
    except PayloadError as error:
        fail(error)


def print_json(value: dict[str, Any]) -> None:
    """One JSON line on standard output."""
    typer.echo(json.dumps(value, ensure_ascii=True))


def with_progress(items: list[Item], label: str) -> Iterable[Item]:
    """Goes through the items with a bar on standard error, if that is a terminal and there is more than one."""
    if len(items) < 2 or not sys.stderr.isatty():
        return items
    return _bar(items, label)


def _bar(items: list[Item], label: str) -> Iterator[Item]:
    from rich.console import Console
    from rich.progress import track

    yield from track(items, description=label, console=Console(stderr=True))


def about(source: str | Path, error: BaseException) -> str:
    """The error's line, with the file's name in front unless it is there already."""
    name = "standard input" if source == "-" else show_name(str(source))
    if isinstance(error, MemoryError) or "allocate memory" in str(error) or "out of memory" in str(error):
        return f"{name}: expected enough memory for the picture, found too little; use a smaller copy"
    text = show_name(str(error))
    return text if isinstance(error, WamError | PayloadError) else f"{name}: {text}"
