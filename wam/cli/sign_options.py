"""Options of ``wam embed`` for content credentials."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wam.cli import common, panels
from wam.errors import WamError
from wam.packages import require_for

if TYPE_CHECKING:
    from wam.provenance.credentials import Credentials

C2pa = Annotated[
    bool,
    typer.Option(
        "--c2pa",
        rich_help_panel=panels.CREDENTIALS,
        help="Sign a C2PA manifest into each marked file, which names its mark; needs --sign-cert, --sign-key and the "
        "extra \\[c2pa]. An earlier manifest is kept in it.",
    ),
]
SignCert = Annotated[
    Path | None,
    typer.Option(
        "--sign-cert",
        metavar="FILE",
        rich_help_panel=panels.CREDENTIALS,
        help="Certificates in PEM, the signer's first, then those who issued it.",
    ),
]
SignKey = Annotated[
    Path | None,
    typer.Option(
        "--sign-key", metavar="FILE", rich_help_panel=panels.CREDENTIALS, help="The signer's private key in PEM."
    ),
]
Tsa = Annotated[
    str | None,
    typer.Option(
        "--tsa",
        metavar="URL",
        rich_help_panel=panels.CREDENTIALS,
        help="Time stamping authority to ask for each file, so that the manifest outlives its certificate.",
    ),
]
SourceType = Annotated[
    str | None,
    typer.Option(
        "--source-type",
        metavar="NAME",
        rich_help_panel=panels.CREDENTIALS,
        help="What the pictures are, by the IPTC's names: trainedAlgorithmicMedia, digitalCapture and others; for the "
        "manifest and, with --label, for the metadata. Default: what --label or the file says, or nothing.",
    ),
]
AiModel = Annotated[
    str | None,
    typer.Option(
        "--ai-model",
        metavar="NAME",
        rich_help_panel=panels.CREDENTIALS,
        help="The model that generated the pictures. Default: --ai-system, if it is there.",
    ),
]
NoTraining = Annotated[
    bool,
    typer.Option(
        "--no-training",
        rich_help_panel=panels.CREDENTIALS,
        help="State that the pictures may not be used for data mining and training (CAWG).",
    ),
]


def credentials_of(
    wanted: bool,
    chain: Path | None,
    key: Path | None,
    tsa: str | None,
    source_type: str | None,
    ai_model: str | None,
    *,
    no_training: bool,
) -> Credentials | None:
    """The signer that the options name, None without ``--c2pa``; one error line and exit status 2 for what is no
    signer."""
    given: dict[str, object] = {"--sign-cert": chain, "--sign-key": key, "--tsa": tsa, "--source-type": source_type}
    given |= {"--ai-model": ai_model, "--no-training": no_training or None}
    if not wanted:
        for name, value in given.items():
            if value is not None:
                wanted_with = "--c2pa or --label" if name == "--source-type" else "--c2pa"
                common.fail(f"{name}: expected {wanted_with} with it, found none; add it")
        return None
    if chain is None or key is None:
        missing = "--sign-cert" if chain is None else "--sign-key"
        common.fail(f"--c2pa: expected {missing} with it, found none; wam c2pa test-certs makes them for tests")
    require_for("wam embed --c2pa")
    from wam.provenance.credentials import Credentials
    from wam.provenance.source_types import source_type_of

    try:
        uri = None if source_type is None else source_type_of(source_type)
        training = False if no_training else None
        return Credentials.open(chain, key, tsa=tsa, source_type=uri, ai_model=ai_model, training=training)
    except WamError as error:
        common.fail(error)


def service_signer(chain: Path | None, key: Path | None, tsa: str | None) -> Credentials | None:
    """Who signs for a service, None where it signs nothing; one error line and exit status 2 for what is no signer, and
    for a private key that others may read."""
    if chain is None and key is None and tsa is None:
        return None
    if chain is None or key is None:
        missing = "--sign-cert" if chain is None else "--sign-key"
        common.fail(f"{missing}: expected it where a service signs, found none; give certificate and key")
    require_for("wam embed --c2pa")
    from wam.provenance.credentials import Credentials, require_private

    try:
        require_private(key)
        return Credentials.open(chain, key, tsa=tsa)
    except WamError as error:
        common.fail(error)


def refuse_own(**given: object) -> None:
    """Ends the command for a signer of one's own where a service signs."""
    for name, value in given.items():
        if value:
            option = name.replace("_", "-")
            common.fail(f"--{option}: expected it without --server, found both; the service signs with its own")
