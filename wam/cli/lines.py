"""Errors, warnings and notes: one line each on standard error."""

from __future__ import annotations

from typing import NoReturn

import typer

from wam.errors import show_name


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
