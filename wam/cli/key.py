"""``wam key``: secret keys."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wam.cli import common
from wam.cli.panels import Commands
from wam.errors import WamError

key_app = Commands(no_args_is_help=True, help="Secret keys, without which marks cannot be read.")


@key_app.command()
def new(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="A new file for it; default: standard output.")
    ] = None,
) -> None:
    """Make a random key. With a key that is lost, its marks can never be read again: keep a copy.

    Example: wam key new acme.key
    """
    from wam.pipeline.key_file import new_key, write_new_key

    if file is None:
        typer.echo(new_key())
        return
    try:
        write_new_key(file)
    except WamError as error:
        common.fail(error)
    typer.echo(f"{file}: a new key; embed and detect take it with --key-file {file}. Keep it secret, and a copy safe")


@key_app.callback()
def root() -> None:
    """What makes ``new`` a command of its own."""
