"""The options of ``wam detect``: what is read how, and what is written and printed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from wam.cli import common, panels
from wam.cli.choices import FailUnless

SIMILAR = "--similar"
SIMILAR_USUAL = 5  # pictures that are listed where no number is given

Overlay = Annotated[
    Path | None,
    typer.Option(
        "--overlay",
        metavar="FILE",
        rich_help_panel=panels.OUTPUT,
        help="Write the picture with each watermark outlined, numbered and named, in the format of FILE's extension; "
        "one input only.",
        parser=common.local_path,
    ),
]
OverlayDir = Annotated[
    Path | None,
    typer.Option(
        "--overlay-dir",
        metavar="DIR",
        rich_help_panel=panels.OUTPUT,
        help="The same for several inputs: DIR/NAME.overlay.png each, the tree of an input folder mirrored.",
        parser=common.local_path,
    ),
]
MaskDir = Annotated[
    Path | None,
    typer.Option(
        "--mask-dir",
        metavar="DIR",
        rich_help_panel=panels.OUTPUT,
        help="Write each watermark's mask, white where it is, of the picture's size: DIR/NAME.mask1.png and so on, "
        "numbered as in the results.",
        parser=common.local_path,
    ),
]
Thorough = Annotated[
    bool,
    typer.Option(
        "--thorough",
        rich_help_panel=panels.READING,
        help="Search every resolution, window and angle of view even when a mark was found: slower, and finds "
        "small or faint marks beside others.",
    ),
]
Quick = Annotated[
    bool,
    typer.Option(
        "--quick",
        rich_help_panel=panels.READING,
        help="Look at the usual resolution only: finds whole copies, turned, cropped or reduced, but no small parts in "
        "larger pictures.",
    ),
]
Seconds = Annotated[
    float | None,
    typer.Option(
        "--seconds",
        metavar="S",
        rich_help_panel=panels.READING,
        help="Begin no further look at a picture after S seconds; what was found until then is given, and that there "
        "was more to look at is said.",
    ),
]
Verbose = Annotated[
    bool,
    typer.Option(
        "--verbose",
        "-v",
        rich_help_panel=panels.PRINTING,
        help="Say on standard error how each result was reached, and what was tried.",
    ),
]
LogOption = Annotated[
    bool,
    typer.Option(
        "--log-look-ups",
        rich_help_panel=panels.REGISTRY,
        help="Enter each record that is named in the audit log of its registry, which has to be writable.",
    ),
]
FailUnlessOption = Annotated[
    FailUnless | None,
    typer.Option(
        "--fail-unless",
        rich_help_panel=panels.PRINTING,
        help="verified: exit status 1 unless every picture carries a mark whose record is known here, and which is not "
        "flagged as transplanted.",
    ),
]
SimilarOption = Annotated[
    int | None,
    typer.Option(
        SIMILAR,
        metavar="[N]",
        min=1,
        max=100,
        rich_help_panel=panels.REGISTRY,
        help="List too the N registered pictures that look most alike (5 without a number), by fingerprint: where the "
        "mark is gone. This is no watermark and no proof; needs the extra \\[fingerprint].",
    ),
]
CandidatesOption = Annotated[
    bool,
    typer.Option(
        "--candidates",
        rich_help_panel=panels.REGISTRY,
        help="List too the records that an unregistered mark could be of, where a registry has so many that its word "
        "alone does not say so.",
    ),
]


class DetectCommand(TyperCommand):
    """The command, whose ``--similar`` may stand with and without a number."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Adds the usual number where there is none."""
        end = args.index("--") if "--" in args else len(args)
        given = list[str]()
        for place, word in enumerate(args):
            given.append(word)
            if word == SIMILAR and place < end and not (args[place + 1 : end] and args[place + 1].isdecimal()):
                given.append(str(SIMILAR_USUAL))
        return super().parse_args(ctx, given)
