"""What ``--help`` shows: the groups that options are listed in, and the text above them."""

from __future__ import annotations

from collections.abc import Callable
from inspect import getdoc
from typing import Any, TypeVar

import typer

Command = TypeVar("Command", bound=Callable[..., Any])

RECORD = "What the mark stands for"
OUTPUT = "What is written where"
MARKING = "How it is marked"
LABEL = "What metadata say of generated pictures"
CREDENTIALS = "Content credentials (C2PA)"
READING = "How it is read"
REGISTRY = "Registry and key"
RUNNING = "Where it runs"
PRINTING = "What is printed"
BOUNDS = "Bounds that hold for every request"
SHOWN = "Who may what"
SEVERAL = "Several machines"


def explained(command: Callable[..., Any]) -> str:
    """A command's docstring with one line to a paragraph, which the terminal breaks where it ends."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in (getdoc(command) or "").split("\n\n"))


class Commands(typer.Typer):
    """Commands whose help is their docstring, broken where the terminal ends."""

    def command(self, name: str | None = None, **options: Any) -> Callable[[Command], Command]:
        """Adds a function as a command; see ``typer.Typer.command``."""
        register = super().command

        def add(function: Command) -> Command:
            return register(name, help=explained(function), **options)(function)

        return add
