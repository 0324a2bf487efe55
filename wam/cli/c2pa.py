"""``wam c2pa``: certificates for trying content credentials out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wam.cli import common
from wam.cli.panels import Commands
from wam.errors import WamError
from wam.packages import require_for

c2pa_app = Commands(no_args_is_help=True, help="Content credentials: certificates for tests.")


@c2pa_app.command("test-certs")
def test_certs(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write chain.pem, key.pem and root.pem to.")],
) -> None:
    """Make a root, a certificate that it issued and that one's key, to sign content credentials with in tests.

    Nobody else trusts the root; readers that are given root.pem do. For production ask an authority of the C2PA trust
    list for a certificate.

    Example: wam c2pa test-certs certs
    """
    require_for("wam c2pa test-certs")
    from wam.provenance.credentials import make_test_chain

    try:
        chain, key, root = make_test_chain(folder)
    except WamError as error:
        common.fail(error)
    typer.echo(f"{chain}, {key}: for --sign-cert and --sign-key\n{root}: for --trust and WAM_C2PA_TRUST")
    typer.echo("valid for tests only")


@c2pa_app.callback()
def root() -> None:
    """What makes ``test-certs`` a command of its own."""
