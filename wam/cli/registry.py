"""``wam registry``: the records behind the short links."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from payload import PayloadError, format_time
from wam.cli import common
from wam.errors import mask_secrets
from wam.pipeline.error_line import error_line

if TYPE_CHECKING:
    from payload.registry.entry import Entry

registry_app = typer.Typer(no_args_is_help=True, help="The records behind the short links.")


@registry_app.command()
def init(registry: common.RegistryOption = None) -> None:
    """Create the registry, if it is not there yet, and say where it is."""
    store = common.open_registry(registry, create=True)
    counts = store.counts()
    states = ", ".join(f"{count} {state}" for state, count in counts.items())
    typer.echo(f"{store.name}: {sum(counts.values())} records" + (f" ({states})" if states else ""))


@registry_app.command(name="list")
def list_(registry: common.RegistryOption = None, as_json: common.JsonRowsOption = False) -> None:
    """List all records, oldest first."""
    entries = common.open_registry(registry, create=False).list()
    if as_json:
        for entry in entries:
            common.print_json(_shown(entry))
        return
    row = "{:12}  {:9}  {:20}  {:24}  {:16}  {}"  # widths that most names fit: a registry is too long to measure first
    typer.echo(row.format("LINK", "STATE", "INGESTED", "ASSET", "OWNER", "USER"))
    for entry in entries:
        record = entry.record
        time = format_time(record.ingested_at)
        typer.echo(row.format(entry.link, entry.state, time, record.asset, record.owner, record.user or "-"))


@registry_app.command()
def show(
    link: Annotated[str, typer.Argument(metavar="ID", help="Short link, such as wm:3ZT3-GTKS.")],
    registry: common.RegistryOption = None,
    as_json: common.JsonRowsOption = False,
) -> None:
    """Show one record."""
    try:
        entry = common.open_registry(registry, create=False).show(link)
    except (PayloadError, ValueError) as error:
        common.fail(error, code=1)
    values = _shown(entry)
    if as_json:
        common.print_json(values)
        return
    for key, value in (values | entry.record.to_dict()).items():
        if key != "record":
            typer.echo(f"{key:12} {'-' if value is None else value}")


@registry_app.command()
def withdraw(
    link: Annotated[str, typer.Argument(metavar="ID", help="Short link to withdraw; its id is never used again.")],
    registry: common.RegistryOption = None,
) -> None:
    """Withdraw a record: detection no longer names it."""
    try:
        entry = common.open_registry(registry, create=False).withdraw(link)
    except (PayloadError, ValueError) as error:
        common.fail(error, code=1)
    typer.echo(f"{entry.link} withdrawn")


@registry_app.command()
def export(
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Default: standard output.", parser=common.local_path),
    ] = None,
    registry: common.RegistryOption = None,
) -> None:
    """Write everything as JSON Lines, the registry's secret included: keep the file safe."""
    store = common.open_registry(registry, create=False)
    if output is None or str(output) == "-":
        store.export(sys.stdout)
        return
    from wam.pictures.files import write_text

    common.refuse_inputs([output], common.own_files(registry), "it is the registry: choose another file")
    try:
        count = write_text(output, store.export, private=True)
    except (PayloadError, OSError) as error:
        common.fail(error_line(str(output), error), code=1)
    typer.echo(f"{count} records and the registry's secret -> {output}; keep it as private as the registry")


@registry_app.command(name="import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="JSON Lines made by export.")],
    registry: common.RegistryOption = None,
) -> None:
    """Read an export, all of it or nothing, with the same ids."""
    from payload.registry.export_import import check_lines

    try:
        with _whole(file) as stream:
            check_lines(stream, str(file))  # before a registry is made for a file that is none
            stream.seek(0)
            count = common.open_registry(registry, create=True).import_(stream, name=str(file))
    except PayloadError as error:
        common.fail(error, code=1)
    except OSError as error:
        found = error.strerror or str(error)
        common.fail(f"{file}: expected an export that can be read, found: {found}; check the name", code=1)
    typer.echo(f"{count} new records")


def _shown(entry: Entry) -> dict[str, Any]:
    """An entry for people and programs: earlier versions kept passwords of the URLs that outputs went to."""
    output = entry.output and mask_secrets(entry.output)
    return {"link": entry.link, **entry.to_dict(), "output": output}


@contextmanager
def _whole(file: Path) -> Iterator[TextIO]:
    """An open text file that can be read twice, also where it is a pipe."""
    with file.open("rb") as stream, TemporaryFile() as copy:
        if not stream.seekable():
            shutil.copyfileobj(stream, copy)
            copy.seek(0)
        whole = stream if stream.seekable() else copy
        with TextIOWrapper(whole, encoding="utf-8", errors="surrogateescape") as text:
            yield text
