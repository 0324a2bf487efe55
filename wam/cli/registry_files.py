"""``wam registry export`` and ``import``: all of a registry as a file, and back."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from tempfile import TemporaryFile
from typing import Annotated, TextIO

import typer

from payload import PayloadError
from wam.cli import common
from wam.pipeline.error_line import error_line


def export(
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Default: standard output.", parser=common.local_path),
    ] = None,
    registry: common.RegistryOption = None,
) -> None:
    """Write everything as JSON Lines, the registry's secret included: keep the file safe.

    Example: wam registry export -o registry.jsonl
    """
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
    typer.echo(f"{counted(count)} and the registry's secret -> {output}; keep it as private as the registry")


def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="JSON Lines made by export.")],
    registry: common.RegistryOption = None,
) -> None:
    """Read an export, all of it or nothing, with the same ids.

    Example: wam registry import registry.jsonl
    """
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
    typer.echo(counted(count, "new record"))


def counted(count: int, kind: str = "record") -> str:
    """So many of a kind, in words.

    >>> counted(1), counted(2, "new record")
    ('1 record', '2 new records')
    """
    return f"{count} {kind}{'' if count == 1 else 's'}"


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
