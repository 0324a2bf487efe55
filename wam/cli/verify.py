"""``wam verify``: one verdict on where a picture comes from, with its reasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wam.cli import common, panels, terminal
from wam.cli.choices import Device
from wam.cli.one_by_one import read_file, words_of
from wam.errors import WamError, mask_secrets, show_name
from wam.models.catalogue import DEFAULT
from wam.packages import require_for

if TYPE_CHECKING:
    from payload.registry import Registry
    from wam.pipeline.read import Findings
    from wam.provenance.manifest_state import ManifestState

STATUS = {"confirmed": 0, "marked": 0, "signed": 0, "unconfirmed": 1, "nothing": 1, "contradicted": 3}
UNREAD = 2  # exit status where a file could not be read

TrustOption = Annotated[
    Path | None,
    typer.Option(
        "--trust",
        metavar="FILE",
        rich_help_panel=panels.CREDENTIALS,
        help="Root certificates in PEM whose signers are trusted. Default: those of $WAM_C2PA_TRUST.",
    ),
]
FetchOption = Annotated[
    bool,
    typer.Option(
        "--fetch",
        rich_help_panel=panels.CREDENTIALS,
        help="Fetch a manifest that the file says is elsewhere; nobody is asked otherwise.",
    ),
]


def verify(
    images: common.Images,
    as_json: common.JsonOption = False,
    trust: TrustOption = None,
    fetch: FetchOption = False,
    registry: common.RegistriesOption = None,
    key_file: common.KeyOption = None,
    model: common.ModelOption = DEFAULT,
    device: common.DeviceOption = Device.AUTO,
    debug: common.DebugOption = False,
) -> None:
    """Say whether mark, C2PA manifest and label of each picture agree on where it comes from.

    confirmed: a trusted signer's manifest names the mark that is there.
    marked: a mark whose record is known. signed: a trusted signer's manifest,
    no mark. unconfirmed: what anyone may have written. contradicted: they say
    different things, or the manifest is broken. nothing: there is nothing.

    Exit status 0: all are confirmed, marked or signed. 1: some are unconfirmed
    or have nothing. 2: some could not be read, or usage. 3: some are
    contradicted.

    Example: wam verify photo.jpg --trust root.pem
    """
    require_for("wam verify")
    from wam.jobs.listing import Listing
    from wam.pipeline.contract import detect_object
    from wam.pipeline.verdict import judge_origin
    from wam.provenance.credentials import read_anchors

    try:
        anchors = None if trust is None else read_anchors(trust)
    except WamError as error:
        common.fail(error)
    marker = common.loaded(common.marker_loader(model, device, [*common.read_keys(key_file), None]))
    registries = common.open_registries(registry)
    words = words_of(registries)
    worst = 0
    for source in Listing(images):
        found = read_file(marker, words, source.location, anchors=anchors, network=fetch, debug=debug)
        if found is None:
            worst = max(worst, UNREAD)
            continue
        kept = _kept(found.findings, registries)
        findings = replace(found.findings, kept=tuple(kept))  # a manifest that was fetched may contradict them, too
        judged = judge_origin(findings, kept)
        worst = max(worst, STATUS[judged.verdict])
        name = str(source.location)
        if as_json:
            said = {
                "image": mask_secrets(name),
                "verdict": judged.verdict,
                "reasons": list(judged.reasons),
                "contradictions": list(judged.contradictions),
                "found": detect_object(findings, image=name, model=marker.name),
            }
            common.print_json(said)
        else:
            typer.echo("\n".join(_lines(f"{show_name(name)}: {judged.verdict}", [*map(show_name, judged.reasons)])))
    if worst:
        raise typer.Exit(worst)


def _lines(verdict: str, reasons: Sequence[str]) -> Sequence[str]:
    """Verdict and reasons in a line, or where a terminal has no room for that each reason in one of its own."""
    line, columns = f"{verdict}: {'; '.join(reasons)}", terminal.width()
    if columns is None or terminal.length(line) <= columns:
        return [line]
    return [verdict, *(f"  {reason}" for reason in reasons)]


def _kept(findings: Findings, registries: list[Registry]) -> list[ManifestState]:
    """What the manifests say that were kept of the picture's marks, and that name all of one: half a name may be that
    of another picture's."""
    from wam.pipeline.recover import kept_for
    from wam.provenance.soft_value import EXACT

    return [one.state for one in kept_for(findings, registries) if one.similarity == EXACT]
