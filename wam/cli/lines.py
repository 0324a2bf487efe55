"""Errors, warnings and notes: one line each on standard error."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import typer

from wam.errors import show_name

if TYPE_CHECKING:
    from wam.watermarker import Watermarker


def fail(message: object, *, code: int = 2) -> NoReturn:
    """Prints one error line and ends the command."""
    report(message)
    raise typer.Exit(code)


def report(message: object) -> None:
    """Of what did not work."""
    typer.echo(f"error: {show_name(str(message))}", err=True)


def warn(message: object) -> None:
    """Of what worked in part."""
    typer.echo(f"warning: {show_name(str(message))}", err=True)


def note(message: str) -> None:
    """Of what is no error."""
    typer.echo(f"note: {show_name(message)}", err=True)


def note_keys(marker: Watermarker) -> None:
    """Where nothing was found, that there may be what a key alone finds; nothing where it was looked for with one."""
    if marker.model.description.keyed and not any(marker.keys):
        note("a mark that was made with a key is found with that key only: --key-file")
