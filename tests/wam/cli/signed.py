"""What the tests of content credentials on the command line share."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from tests.wam.cli.commands import MARK, Run, objects
from tests.wam.provenance.c2pa_files import statement
from wam.provenance.credentials import Credentials, make_test_chain
from wam.provenance.signing import sign_file

SIGN = ("--c2pa", "--sign-cert", "certs/chain.pem", "--sign-key", "certs/key.pem")
CAMERA = "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"
TRUST = ("--trust", "certs/root.pem")


def sign(run: Run, photo: Path, *more: str) -> dict[str, object]:
    result = run("embed", photo, *MARK, *SIGN, "--json", *more)
    assert result.exit_code == 0, result.stderr
    (said,) = objects(result)
    return said


def strip(name: str, target: str, **how: object) -> Path:
    """A copy without any metadata."""
    with Image.open(name) as image:
        image.convert("RGB").save(target, **how)
    return Path(target)


def other_signed(
    target: str, *, source_type: str, content: bytes, format: str = "PNG", values: tuple[bytes, ...] = ()
) -> None:
    """A file of another signer with a manifest, whatever it carries."""
    make_test_chain("others")
    signer = Credentials.open("others/chain.pem", "others/key.pem")
    said = statement(format, values=values or (b"none",), source_type=source_type)
    Path(target).write_bytes(sign_file(content, said, signer, name=target).content)
