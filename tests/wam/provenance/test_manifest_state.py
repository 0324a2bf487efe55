"""The state of a file's manifest, whatever was done to the file: never an error, never the network."""

from __future__ import annotations

import io
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("c2pa", reason="needs c2pa-python")

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.wam.provenance.c2pa_files import (
    FORMATS,
    VALUE,
    Certificates,
    certificates,
    picture,
    read_independently,
    statement,
)
from tests.wam.provenance.chains import KEY_OF_LEAF, leaf, private, root
from wam.provenance.credentials import Credentials
from wam.provenance.manifest_state import ABSENT, SoftBinding, read_manifest
from wam.provenance.signing import MIME, sign_file
from wam.provenance.source_types import GENERATED


@pytest.fixture(scope="module")
def test_certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def signed(test_certificates: Certificates) -> Callable[[str], bytes]:
    def make(format: str) -> bytes:
        said = statement(format, source_type=GENERATED)
        return sign_file(picture(format), said, test_certificates.credentials(), name="a").content

    return make


@pytest.mark.parametrize("format", FORMATS)
def test_what_a_signed_file_says(
    signed: Callable[[str], bytes], test_certificates: Certificates, format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = signed(format)
    found = read_manifest(content, format)
    assert (found.state, found.holds, found.problems) == ("valid", True, ())
    assert found.source_types == (GENERATED,) and found.generator == "wam"
    assert found.actions == ("c2pa.created", "c2pa.watermarked.bound")
    assert found.bindings == (SoftBinding("wam-lattice-1", VALUE),) and found.own_values == (VALUE,)
    assert found.signer == "wam test, do not trust" and str(found.manifest).startswith("urn:c2pa:")
    assert read_manifest(content, format, anchors=test_certificates.root).state == "trusted"
    monkeypatch.setenv("WAM_C2PA_TRUST", str(test_certificates.folder / "root.pem"))
    assert read_manifest(content, format).state == "trusted"


def test_a_root_that_cannot_be_read_is_said(
    signed: Callable[[str], bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WAM_C2PA_TRUST", str(tmp_path / "none.pem"))
    found = read_manifest(signed("PNG"), "PNG")
    assert found.state == "unread" and "none.pem: expected a PEM file" in found.problems[0]


@pytest.mark.parametrize("format", [*FORMATS, "BMP"])
def test_files_without_one(format: str) -> None:
    assert read_manifest(picture(format), format) == ABSENT
    assert read_manifest(picture(format) + b"c2pa jumb", format).state in ("absent", "broken")


@pytest.mark.parametrize("format", FORMATS)
def test_altered_pixels_break_it(signed: Callable[[str], bytes], format: str) -> None:
    content = bytearray(signed(format))
    plain = picture(format)
    at = content.rindex(plain[-200:-100]) if plain[-200:-100] in content else len(content) - 100
    content[at + 50] ^= 1
    found = read_manifest(bytes(content), format)
    assert found.state == "broken" and not found.holds and any("mismatch" in why for why in found.problems)


def test_a_forged_value_breaks_it(signed: Callable[[str], bytes]) -> None:
    content = signed("JPEG")
    forged = content.replace(b"value\x44" + VALUE, b"value\x44" + b"\0\0\0\0")
    assert forged != content
    found = read_manifest(forged, "JPEG")
    assert found.state == "broken" and any("hashedURI.mismatch" in why for why in found.problems)


def test_a_forged_signature_breaks_it(signed: Callable[[str], bytes]) -> None:
    content = bytearray(signed("JPEG"))
    at = content.index(b"c2pa.claim.v2") + 150
    content[at : at + 1] = bytes([content[at] ^ 1])
    assert read_manifest(bytes(content), "JPEG").state == "broken"


def test_a_manifest_of_another_picture_breaks(signed: Callable[[str], bytes]) -> None:
    """The segments of one file put into another: copied, not signed for it."""
    one, other = signed("JPEG"), picture("JPEG", seed=1)
    plain = picture("JPEG")
    store = one[: len(one) - len(plain) + 2][2:]  # what signing put behind the start of the file
    found = read_manifest(other[:2] + store + other[2:], "JPEG")
    assert found.state == "broken"


@pytest.mark.parametrize(
    ("how", "found"),
    [
        ({"start": -60, "end": -30}, "signingCredential.expired"),
        ({"purpose": ExtendedKeyUsageOID.SERVER_AUTH}, "signingCredential.invalid"),
    ],
)
def test_a_certificate_that_may_not_sign_breaks_it(how: dict[str, Any], found: str) -> None:
    """The library signs with none such: another certificate of the same key and length is put in its place."""
    import c2pa

    def der(pem: bytes) -> bytes:
        return x509.load_pem_x509_certificate(pem).public_bytes(serialization.Encoding.DER)

    signer = Credentials((valid := leaf(KEY_OF_LEAF)) + root(), private(KEY_OF_LEAF))
    good, bad = der(valid), b""
    while len(bad) != len(good):  # signatures differ in length
        bad = der(leaf(KEY_OF_LEAF, **how))
    made = {"action": "c2pa.created", "digitalSourceType": GENERATED}
    said = {"assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [made]}, "created": True}]}
    builder = c2pa.Builder.from_json(json.dumps(said), c2pa.Context.from_dict({"verify": {"verify_after_sign": False}}))

    def sign(data: bytes) -> bytes:
        return signer.sign(data.replace(good, bad))

    written = io.BytesIO()
    algorithm = c2pa.C2paSigningAlg.ES256
    with c2pa.Signer.from_callback(sign, algorithm, signer.chain.decode(), None) as other:
        builder.sign(other, MIME["JPEG"], io.BytesIO(picture("JPEG")), written)
    assert read_manifest(written.getvalue(), "JPEG").state == "broken"  # signed for what is not in it yet
    read = read_manifest(written.getvalue().replace(good, bad), "JPEG", anchors=root())
    assert (read.state, [why.partition(":")[0] for why in read.problems]) == ("broken", [found])


def test_fields_in_metadata_assertions_are_read(test_certificates: Certificates) -> None:
    import c2pa

    made = {"action": "c2pa.created", "digitalSourceType": GENERATED}
    fields = {
        "@context": {"Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"},
        "Iptc4xmpExt:AISystemUsed": "Painter",
        "Iptc4xmpExt:AIPromptInformation": ["not", "a", "text"],
        "Iptc4xmpExt:DigitalSourceType": {"@id": GENERATED},
    }
    assertions = [{"label": "c2pa.actions.v2", "data": {"actions": [made]}, "created": True}]
    said = {"assertions": [*assertions, {"label": "cawg.metadata", "data": fields}]}
    builder = c2pa.Builder.from_json(json.dumps(said), c2pa.Context.from_dict({"verify": {"verify_after_sign": False}}))
    pem = (test_certificates.chain.read_bytes(), test_certificates.key.read_bytes())
    signer = c2pa.Signer.from_info(c2pa.C2paSignerInfo("es256", *pem, None))
    written = io.BytesIO()
    builder.sign(signer, MIME["PNG"], io.BytesIO(picture("PNG")), written)
    found = read_manifest(written.getvalue(), "PNG")
    assert found.holds and dict(found.metadata) == {"ai_system": "Painter", "source_type": GENERATED}


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> socket.socket:
    """A port that notices whoever connects."""
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(0.2)
    return server


def test_a_remote_manifest_is_named_and_not_fetched(test_certificates: Certificates, no_network: socket.socket) -> None:
    import c2pa

    made = {"action": "c2pa.created", "digitalSourceType": GENERATED}
    said = {"assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [made]}, "created": True}]}
    context = c2pa.Context.from_dict({"verify": {"verify_after_sign": False}})
    builder = c2pa.Builder.from_json(json.dumps(said), context)
    builder.set_no_embed()
    builder.set_remote_url(f"http://127.0.0.1:{no_network.getsockname()[1]}/manifest.c2pa")
    signer = c2pa.Signer.from_info(
        c2pa.C2paSignerInfo("es256", test_certificates.chain.read_bytes(), test_certificates.key.read_bytes(), None)
    )
    written = io.BytesIO()
    builder.sign(signer, MIME["JPEG"], io.BytesIO(picture("JPEG")), written)
    found = read_manifest(written.getvalue(), "JPEG")
    assert found.state == "remote" and "/manifest.c2pa" in found.problems[0]
    with pytest.raises(TimeoutError):
        no_network.accept()
    no_network.close()


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9, 0.99])
@pytest.mark.parametrize("format", FORMATS)
def test_a_file_that_is_cut_short_never_holds(signed: Callable[[str], bytes], format: str, share: float) -> None:
    content = signed(format)
    found = read_manifest(content[: int(share * len(content))], format)
    assert found.state in ("absent", "broken")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.floats(0, 1), new=st.binary(min_size=1, max_size=8))
def test_whatever_is_forged_is_a_state(signed: Callable[[str], bytes], at: float, new: bytes) -> None:
    content = bytearray(CACHE.setdefault("PNG", signed("PNG")))
    start = int(at * (len(content) - len(new)))
    content[start : start + len(new)] = new
    found = read_manifest(bytes(content), "PNG")
    if bytes(content) != CACHE["PNG"] and found.holds:  # only where nothing that is signed was touched
        assert read_independently(bytes(content), "PNG")["state"] == "Valid"


CACHE: dict[str, Any] = {}
