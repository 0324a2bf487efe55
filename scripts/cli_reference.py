"""Writes docs/cli.md, the page of all commands and options, from the commands themselves.

    python scripts/cli_reference.py

A test says when the page is not that of the commands any more.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from inspect import Parameter, signature
from pathlib import Path
from typing import Any, get_args, get_type_hints

import typer
from typer.models import ArgumentInfo, OptionInfo

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from wam.cli import app
from wam.cli.panels import explained
from wam.pictures.atomic_write import save_atomically

PLACE = Path(__file__).resolve().parent.parent / "docs" / "cli.md"
HEAD = """# Command line

Made from the commands by `scripts/cli_reference.py`; `wam COMMAND --help` shows the same. What the commands do with
files, folders and errors is in [How the commands behave](commands.md).
"""
GENERAL = "Options"
EXAMPLE = re.compile(r"^(?P<label>Example|A folder|[A-Z][\w ]*): (?P<command>wam .*)$")


def page() -> str:
    """The page as Markdown."""
    return "\n".join([HEAD, *_commands("wam", app, 2)])


def _commands(name: str, commands: typer.Typer, level: int) -> Iterator[str]:
    """The sections of commands and of groups of them. Their functions say it all, in the same way under any typer."""
    for info in commands.registered_commands:
        assert info.callback is not None
        word = info.name or info.callback.__name__.replace("_", "-")
        yield from _section(f"{name} {word}", info.callback, level)
    for group in commands.registered_groups:
        assert group.typer_instance is not None and group.name is not None
        own = group.typer_instance.registered_callback
        if group.typer_instance.info.invoke_without_command is True and own is not None and own.callback is not None:
            yield from _section(f"{name} {group.name}", own.callback, level)  # a command with others below it
        else:
            yield f"{'#' * level} {name} {group.name}\n"
            yield f"{group.typer_instance.info.help}\n"
        yield from _commands(f"{name} {group.name}", group.typer_instance, level + 1)


def _section(name: str, command: Callable[..., Any], level: int) -> Iterator[str]:
    hints = get_type_hints(command, include_extras=True)
    arguments: list[tuple[str, str, str]] = []
    panels: dict[str, list[tuple[str, str]]] = {}
    for parameter in signature(command).parameters.values():
        if hints[parameter.name] is typer.Context:
            continue
        kind, info = hints[parameter.name].__args__[0], hints[parameter.name].__metadata__[0]
        if isinstance(info, ArgumentInfo):
            shown = str(info.metavar)
            arguments.append((shown, _code(shown), _plain(info.help or "")))
        elif not info.hidden:
            row = (_spelling(parameter, kind, info), _meaning(parameter, info))
            panels.setdefault(info.rich_help_panel or GENERAL, []).append(row)
    yield f"{'#' * level} {name}\n"
    yield f"```text\n{' '.join([name, *(shown for shown, *_ in arguments), '[OPTIONS]'])}\n```\n"
    for paragraph in explained(command).split("\n\n"):
        match = EXAMPLE.match(paragraph)
        yield f"{match['label']}:\n\n```text\n{match['command']}\n```\n" if match else f"{_plain(paragraph)}\n"
    if arguments:
        yield from _table("argument", [row for _, *row in arguments])
    for panel, rows in panels.items():
        yield f"**{panel}**\n"
        yield from _table("option", rows)


def _table(head: str, rows: Sequence[Sequence[str]]) -> Iterator[str]:
    lines = [f"| {name} | {meaning} |" for name, meaning in rows]
    yield "\n".join([f"| {head} | meaning |", "|---|---|", *lines]) + "\n"


def _spelling(parameter: Parameter, kind: Any, info: OptionInfo) -> str:
    """All ways to write an option, with what it takes."""
    first = [info.default] if isinstance(info.default, str) else []  # where typer keeps the first name within Annotated
    names = sorted([*first, *(info.param_decls or ())], key=len) or [f"--{parameter.name.replace('_', '-')}"]
    types = [one for one in get_args(kind) or (kind,) if one is not type(None)]
    value = "" if types == [bool] else " " + (info.metavar or _values(types[0]))
    return _code(f"{', '.join(names)}{value}")


def _values(kind: Any) -> str:
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "|".join(str(one.value) for one in kind)
    return {int: "N", float: "NUMBER", Path: "FILE"}.get(kind, "TEXT")


def _meaning(parameter: Parameter, info: OptionInfo) -> str:
    default, text = parameter.default, info.help or ""
    if default is Parameter.empty:
        return f"{_plain(text)} Required."
    shown = default.value if isinstance(default, Enum) else default
    said = shown is None or isinstance(shown, bool) or "efault" in text
    return _plain(text) + ("" if said else f" Default: `{shown}`.")


def _code(text: str) -> str:
    """Code for a cell of a table, where readers of Markdown differ about bars within back ticks."""
    return f"<code>{text.replace('|', '&#124;')}</code>" if "|" in text else f"`{text}`"


def _plain(text: str) -> str:
    """A help text as Markdown in a cell of a table."""
    plain = " ".join(text.replace("\\[", "[").split())
    return (
        re.sub(r"(?<![\w`/=])(--[a-z][a-z-]*)", r"`\1`", plain)
        .replace("|", "\\|")
        .replace("<", "&lt;")
        .replace("*", "\\*")
    )


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    save_atomically(PLACE, lambda temporary: temporary.write_text(page(), encoding="utf-8"))


if __name__ == "__main__":
    main()
