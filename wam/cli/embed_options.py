"""What ``wam embed`` and ``wam watch`` can be told about marking, and what becomes of it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wam.cli import common, panels
from wam.cli.choices import Mode
from wam.errors import WamError

if TYPE_CHECKING:
    from wam.networks.strength import Amount
    from wam.pipeline.options import MarkOptions

Asset = Annotated[
    str | None, typer.Option("--asset", metavar="ID", rich_help_panel=panels.RECORD, help="Asset ID of the pictures.")
]
AssetFrom = Annotated[
    str | None,
    typer.Option(
        "--asset-from",
        metavar="name|csv:FILE",
        rich_help_panel=panels.RECORD,
        help="One asset for each file: its name without extension, or its row of a CSV with the columns path, asset "
        "and, if wanted, owner, user, time.",
    ),
]
Backslashes = Annotated[
    bool,
    typer.Option(
        "--backslashes",
        rich_help_panel=panels.RECORD,
        help="Paths in the list of --asset-from have backslashes between their folders.",
    ),
]
Owner = Annotated[
    str | None, typer.Option("--owner", metavar="NAME", rich_help_panel=panels.RECORD, help="Who owns them.")
]
User = Annotated[
    str | None,
    typer.Option(
        "--user", metavar="ID", rich_help_panel=panels.RECORD, help="User ID, to trace who received or made them."
    ),
]
Time = Annotated[
    str | None,
    typer.Option(
        "--time",
        metavar="RFC3339",
        rich_help_panel=panels.RECORD,
        help="Ingest time, such as 2026-11-22T09:30:00Z; default now.",
    ),
]
Output = Annotated[
    str | None,
    typer.Option(
        "-o",
        "--output",
        metavar="FILE",
        rich_help_panel=panels.OUTPUT,
        help="Where to write, - for standard output; one input only. With --recipients: the folder to write to.",
    ),
]
RecipientsOption = Annotated[
    Path | None,
    typer.Option(
        "--recipients",
        metavar="CSV",
        rich_help_panel=panels.RECORD,
        help="One copy of the picture for each row of a CSV, with a link of its own: recipient (the user of its "
        "record) and, if wanted, name (which its file is called after), asset, owner and output (its file's name).",
        parser=common.local_path,
    ),
]
OutDir = Annotated[
    str | None,
    typer.Option(
        "--out-dir",
        metavar="DIR",
        rich_help_panel=panels.OUTPUT,
        help="Folder to write to, under the inputs' names, with a manifest of what was done.",
    ),
]
InPlace = Annotated[bool, typer.Option("--in-place", rich_help_panel=panels.OUTPUT, help="Replace the inputs.")]
Drop = Annotated[
    bool,
    typer.Option(
        "--drop",
        rich_help_panel=panels.OUTPUT,
        help="With --in-place: replace an input even where something in it is lost that no other copy can give back.",
    ),
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume",
        rich_help_panel=panels.OUTPUT,
        help="Skip what the manifest in --out-dir shows as done with the same settings, if source and output are still "
        "so; mark the rest.",
    ),
]
NewLink = Annotated[
    bool,
    typer.Option(
        "--new-link",
        rich_help_panel=panels.RECORD,
        help="A link of its own even for a picture that was marked before for the same asset, owner and user (and "
        "--time, where it is given), which gets the link it had otherwise.",
    ),
]
ModeOption = Annotated[
    Mode,
    typer.Option(
        "--mode",
        rich_help_panel=panels.MARKING,
        help="link: the mark is a short link, the record is in the registry. record: the whole record is in the "
        "picture, in many marks side by side, and is read without a registry.",
    ),
]
Encrypt = Annotated[
    bool,
    typer.Option(
        "--encrypt",
        rich_help_panel=panels.MARKING,
        help="With --mode record and a key: encrypt the record, too, besides authenticating it.",
    ),
]
StrengthOption = Annotated[
    str | None,
    typer.Option(
        "--strength",
        metavar="gentle|normal|strong",
        rich_help_panel=panels.MARKING,
        help="gentle is fainter and survives less, strong the other way. Default: normal, which gives each picture "
        "what it hides and what reading it takes.",
    ),
]
Psnr = Annotated[
    float | None,
    typer.Option(
        "--psnr",
        metavar="DB",
        rich_help_panel=panels.MARKING,
        help="In place of --strength: the PSNR to aim for, 30 to 55 dB (lower is more robust), whatever the picture.",
    ),
]

Quality = Annotated[
    int | None,
    typer.Option(
        "--quality",
        metavar="1-100",
        min=1,
        max=100,
        rich_help_panel=panels.MARKING,
        help="Of JPEG, WebP, AVIF and HEIC outputs. Default: the source's own tables or kind, fine where it has none.",
    ),
]


def amount_of(strength: str | None, psnr: float | None) -> Amount:
    """How strong marks are; wrong words and numbers end the command. A number as ``--strength`` is what ``--psnr`` is
    now: taken for one version more, and said."""
    from wam.networks.strength import either

    amount: Amount = strength
    with suppress(ValueError):
        amount = None if strength is None else float(strength)
    try:
        chosen = either(amount, psnr)
    except ValueError as error:
        common.fail(f"--{error}")
    if isinstance(amount, float):
        common.hint(f"--strength {strength}", f"--psnr {strength}")
    return chosen


def mark_options(**values: Any) -> MarkOptions:
    """How pictures are marked; options that make no sense, alone or together, end the command."""
    from wam.pipeline.options import MarkOptions

    if values["encrypt"] and values["mode"] == "record" and values["key"] is None:
        common.fail("--encrypt: expected a key, found none; give --key-file or set WAM_KEY")
    try:
        return MarkOptions(**values)
    except WamError as error:
        common.fail(f"--{error}")
