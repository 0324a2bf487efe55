"""Options of ``wam embed`` and ``wam watch`` for what the metadata say of generated pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from wam.cli import common, panels
from wam.errors import WamError

if TYPE_CHECKING:
    from wam.provenance.disclosure import Disclosure

NAME = "--label"
PRESETS = ("cn", "eu", "us-ca", "in")  # said here as well: what ``disclosure`` has is loaded when it is used

LabelOption = Annotated[
    str | None,
    typer.Option(
        NAME,
        metavar="[cn,eu,us-ca,in]",
        rich_help_panel=panels.LABEL,
        help="For generated pictures: say so in the file's metadata, in the fields that a law or standard asks for; "
        "several apart by commas. Alone it is cn, the label of GB 45438-2025 with owner and link. See docs/labels.md.",
    ),
]
Provider = Annotated[
    str | None,
    typer.Option(
        "--provider", metavar="NAME", rich_help_panel=panels.LABEL, help="Who provides the AI system; default: --owner."
    ),
]
AiSystem = Annotated[
    str | None,
    typer.Option(
        "--ai-system", metavar="NAME", rich_help_panel=panels.LABEL, help="The AI system; us-ca and in need it."
    ),
]
AiVersion = Annotated[
    str | None,
    typer.Option("--ai-version", metavar="TEXT", rich_help_panel=panels.LABEL, help="Its version; us-ca needs it."),
]
AiPrompt = Annotated[
    str | None,
    typer.Option("--ai-prompt", metavar="TEXT", rich_help_panel=panels.LABEL, help="The prompt, for all to read."),
]
AiPromptWriter = Annotated[
    str | None,
    typer.Option(
        "--ai-prompt-writer", metavar="NAME", rich_help_panel=panels.LABEL, help="Who wrote it, for all to read."
    ),
]


class LabelCommand(TyperCommand):
    """A command whose ``--label`` may stand alone, as it did before there were presets."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As any command, but that an option without its value gets one."""
        return super().parse_args(ctx, with_preset(args))


def with_preset(given: Sequence[str]) -> list[str]:
    """Arguments in which each ``--label`` has a value: what follows it, where that names presets, or else ``cn``.

    >>> with_preset(["--label", "photo.jpg"]), with_preset(["photo.jpg", "--label", "eu,in"])
    (['--label=cn', 'photo.jpg'], ['photo.jpg', '--label=eu,in'])
    """
    found: list[str] = []
    rest = list(given)
    while rest:
        one = rest.pop(0)
        if one == "--":
            return [*found, one, *rest]
        if one == NAME:
            names = bool(rest) and all(part in PRESETS for part in rest[0].lower().split(","))
            one = f"{NAME}={rest.pop(0) if names else PRESETS[0]}"
        found.append(one)
    return found


def disclosure_of(label: str | None, source_type: str | None = None, **values: str | None) -> Disclosure | None:
    """What the metadata are to say, None without ``--label``; one error line and exit status 2 for what makes no sense,
    or is missing."""
    from wam.provenance.disclosure import Disclosure, option

    if label is None:
        for name, value in values.items():
            if value is not None:
                common.fail(f"--{option(name)}: expected --label with it, found none; add it")
        return None
    try:
        return Disclosure(tuple(label.split(",")), source_type=source_type, **values)  # type: ignore[arg-type]
    except WamError as error:
        common.fail(f"--{error}")
