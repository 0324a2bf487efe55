"""``wam embed --mode record``: what goes with it, since the whole record is in the picture and no registry is asked."""

from __future__ import annotations

from wam.cli import common


def check_record_options(mode: str, registry: str | None, label: bool, encrypt: bool, *, keyed: bool) -> None:
    """Ends the command for what record mode has no use for, and for what only record mode can do."""
    if mode != "record":
        common.fail("--encrypt: expected --mode record with it, found link; nothing secret is in the pixels there")
    if registry is not None:
        common.fail("--registry: expected it without --mode record, found both; leave it out or use --mode link")
    if encrypt and not keyed:
        common.fail("--encrypt: expected a key, found none; give --key-file or set WAM_KEY")
    if encrypt and label:
        common.fail("--label: expected it without --encrypt, found both; it says owner and asset for all to read")
