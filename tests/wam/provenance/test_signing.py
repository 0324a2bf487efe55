"""Manifests signed into files, held against the library's own reader and a strict CBOR reader."""

from __future__ import annotations

import hashlib
import io
import struct
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

pytest.importorskip("c2pa", reason="needs c2pa-python")
pytest.importorskip("cbor2", reason="needs cbor2")

from tests.wam.provenance.c2pa_files import (
    FORMATS,
    VALUE,
    Certificates,
    assertions_of,
    certificates,
    picture,
    read_independently,
    statement,
)
from wam.errors import ImageError
from wam.provenance.credentials import CredentialsError
from wam.provenance.embedded_store import replace_store
from wam.provenance.jumbf import read_store
from wam.provenance.manifest_state import read_manifest
from wam.provenance.signing import MIME, Ingredient, SignedFile, require_format, sign_file
from wam.provenance.source_types import GENERATED


@pytest.fixture(scope="module")
def test_certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates(tmp_path_factory.mktemp("certificates"))


def signed(test_certificates: Certificates, format: str, **said: object) -> SignedFile:
    return sign_file(
        picture(format), statement(format, source_type=GENERATED, **said), test_certificates.credentials(), name="a"
    )


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_is_signed_and_trusted_with_the_root(test_certificates: Certificates, format: str) -> None:
    done = signed(test_certificates, format)
    found = read_independently(done.content, format, test_certificates.root)
    assert found["state"] == "Trusted" and found["active_manifest"] == done.id
    assert read_independently(done.content, format)["state"] == "Valid"


@pytest.mark.parametrize("format", FORMATS)
def test_values_and_hashes_are_byte_strings(test_certificates: Certificates, format: str) -> None:
    values = (VALUE, b"AAAA", bytes(range(200)), bytes(300))
    done = signed(test_certificates, format, values=values)
    found = assertions_of(done.manifest)
    binding = found["c2pa.soft-binding"]
    assert binding["alg"] == "wam-lattice-1" and binding["pad"] == b""
    assert [block["value"] for block in binding["blocks"]] == list(values)
    (shape,) = (one["shape"] for one in binding["blocks"][0]["scope"]["region"]["region"])
    assert (shape["type"], shape["unit"]) == ("polygon", "percent")
    assert [(p["x"], p["y"]) for p in (shape["origin"], *shape["vertices"])] == [(0, 0), (100, 0), (100, 100), (0, 100)]
    created, bound = found["c2pa.actions.v2"]["actions"]
    assert (created["action"], created["digitalSourceType"]) == ("c2pa.created", GENERATED)
    assert bound["action"] == "c2pa.watermarked.bound"
    ((related),) = bound["parameters"]["relatedAssertions"]
    assert related["url"] == "self#jumbf=c2pa.assertions/c2pa.soft-binding"
    assertions = read_store(done.manifest).superboxes[-1].child("c2pa.assertions")
    assert assertions is not None
    box = assertions.child("c2pa.soft-binding")
    assert box is not None
    assert related["hash"] == hashlib.sha256(done.manifest[box.box.start + 8 : box.box.end]).digest()


def test_the_pixels_stay_as_they_were(test_certificates: Certificates) -> None:
    from PIL import Image, ImageChops

    with (
        Image.open(io.BytesIO(picture("PNG"))) as before,
        Image.open(io.BytesIO(signed(test_certificates, "PNG").content)) as after,
    ):
        assert ImageChops.difference(before.convert("RGB"), after.convert("RGB")).getbbox() is None


@pytest.mark.parametrize("format", FORMATS)
def test_an_earlier_manifest_is_kept_as_ingredient(test_certificates: Certificates, format: str) -> None:
    first = signed(test_certificates, "PNG")
    source = Ingredient(first.content, MIME["PNG"], "first.png")
    said = statement(format, has_source=True)
    done = sign_file(picture(format), said, test_certificates.credentials(), source=source, name="a")
    found = read_independently(done.content, format, test_certificates.root)
    assert found["state"] == "Trusted" and set(found["manifests"]) == {first.id, done.id}
    (ingredient,) = found["manifests"][done.id]["ingredients"]
    assert (ingredient["active_manifest"], ingredient["relationship"]) == (first.id, "parentOf")
    assert assertions_of(done.manifest)["c2pa.actions.v2"]["actions"][0]["action"] == "c2pa.opened"


def test_an_earlier_manifest_that_cannot_be_read_is_said_to_be_the_sources(test_certificates: Certificates) -> None:
    first = signed(test_certificates, "JPEG")
    source = Ingredient(first.content.replace(b"jumdc2cl", b"jumdc2xx"), MIME["JPEG"], "first.jpg")
    assert source.content != first.content
    line = (
        r"^a: expected to sign its manifest, found: that of first\.jpg cannot be kept in it \(.*\); take it out of the "
    )
    with pytest.raises(CredentialsError, match=line + "source first; nothing was written$"):
        sign_file(
            picture("PNG"), statement("PNG", has_source=True), test_certificates.credentials(), source=source, name="a"
        )


def test_a_store_over_several_segments_of_a_jpeg(test_certificates: Certificates) -> None:
    """Five generations, each with those before it, are more than the 64 KiB that a segment takes."""
    done = signed(test_certificates, "JPEG")
    for _ in range(5):
        source = Ingredient(done.content, MIME["JPEG"], "earlier.jpg")
        said = statement("JPEG", has_source=True)
        done = sign_file(picture("JPEG"), said, test_certificates.credentials(), source=source, name="a")
    assert len(done.manifest) > 1 << 16
    assert read_independently(done.content, "JPEG", test_certificates.root)["state"] == "Trusted"
    assert assertions_of(done.manifest)["c2pa.soft-binding"]["blocks"][0]["value"] == VALUE


def test_disclosure_and_training(test_certificates: Certificates) -> None:
    found = assertions_of(signed(test_certificates, "PNG", ai_model="painter 2", training=False).manifest)
    assert found["c2pa.ai-disclosure"] == {"modelType": "c2pa.types.model", "modelName": "painter 2"}
    uses = {name: one["use"] for name, one in found["cawg.training-mining"]["entries"].items()}
    assert set(uses.values()) == {"notAllowed"} and "cawg.ai_generative_training" in uses
    plain = assertions_of(signed(test_certificates, "PNG").manifest)
    assert not {"c2pa.ai-disclosure", "cawg.training-mining"} & set(plain)


def test_formats_without_a_place_for_it_are_refused() -> None:
    with pytest.raises(ImageError, match=r"a\.bmp: expected a format that takes a manifest .* found BMP"):
        require_format("BMP", "a.bmp")


def test_a_created_picture_needs_a_source_type(test_certificates: Certificates) -> None:
    with pytest.raises(CredentialsError, match=r"a: expected to sign its manifest, found: .*nothing was written"):
        sign_file(picture("PNG"), statement("PNG"), test_certificates.credentials(), name="a")


def test_only_a_store_that_is_there_is_replaced(test_certificates: Certificates) -> None:
    done = signed(test_certificates, "PNG")
    other = bytes(len(done.manifest))
    for format in FORMATS:
        with pytest.raises(ValueError, match="expected"):
            replace_store(picture(format), done.manifest, other)
    with pytest.raises(ValueError, match="expected a store of"):
        replace_store(done.content, done.manifest, b"short")


class TestTimeStamp:
    @pytest.fixture
    def authority(self, tmp_path: Path) -> Iterator[str]:
        """The URL of an authority that OpenSSL answers for, with a certificate of its own."""
        try:
            subprocess.run(["openssl", "version"], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("needs OpenSSL")
        (tmp_path / "serial").write_text("01\n")
        (tmp_path / "config").write_text(
            "[req]\ndistinguished_name=dn\nprompt=no\n[dn]\nO=test\nCN=test stamps\n"
            "[root]\nbasicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign\nsubjectKeyIdentifier=hash\n"
            "[ext]\nbasicConstraints=critical,CA:false\nextendedKeyUsage=critical,timeStamping\n"
            "keyUsage=critical,digitalSignature\nauthorityKeyIdentifier=keyid\n"
            f"[tsa]\ndefault_tsa=t\n[t]\nserial={tmp_path}/serial\nsigner_cert={tmp_path}/cert\ncerts={tmp_path}/root\n"
            f"signer_key={tmp_path}/key\nsigner_digest=sha256\ndefault_policy=1.2.3.4\ndigests=sha256\n"
        )
        self.openssl(
            tmp_path, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "root.key", "-out", "root",
            "-config", "config", "-days", "30", "-extensions", "root", "-subj", "/O=test/CN=root of stamps",
        )  # fmt: skip
        self.openssl(
            tmp_path, "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", "key", "-out", "request", "-config",
            "config",
        )  # fmt: skip
        self.openssl(
            tmp_path, "x509", "-req", "-in", "request", "-CA", "root", "-CAkey", "root.key", "-set_serial", "2",
            "-extfile", "config", "-extensions", "ext", "-out", "cert", "-days", "30",
        )  # fmt: skip
        folder = tmp_path

        class Answer(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                (folder / "query").write_bytes(self.rfile.read(int(self.headers["Content-Length"])))
                TestTimeStamp.openssl(
                    folder, "ts", "-reply", "-config", "config", "-section", "t", "-queryfile", "query", "-out", "reply"
                )
                answer = (folder / "reply").read_bytes()
                self.send_response(200)
                self.send_header("Content-Type", "application/timestamp-reply")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        server = HTTPServer(("127.0.0.1", 0), Answer)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        server.server_close()
        thread.join()

    @staticmethod
    def openssl(folder: Path, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    def test_the_signature_is_stamped(self, test_certificates: Certificates, authority: str) -> None:
        said = statement("PNG", source_type=GENERATED)
        done = sign_file(picture("PNG"), said, test_certificates.credentials(tsa=authority), name="a")
        found = read_independently(done.content, "PNG", test_certificates.root)
        codes = [one["code"] for one in found["validation_results"]["activeManifest"]["success"]]
        assert "timeStamp.validated" in codes
        assert read_manifest(done.content, "PNG").signed_at is not None

    def test_an_authority_that_does_not_answer_is_one_line(self, test_certificates: Certificates) -> None:
        said = statement("PNG", source_type=GENERATED)
        with pytest.raises(CredentialsError, match=r"^a: expected to sign its manifest, found: .*nothing was written$"):
            sign_file(picture("PNG"), said, test_certificates.credentials(tsa="http://127.0.0.1:1/"), name="a")


def test_boxes_that_do_not_fit_are_refused() -> None:
    inside = struct.pack(">I4s", 100, b"jumb")
    for wrong in (b"", b"\0\0\0\x08free", struct.pack(">I4s", 4, b"jumb"), struct.pack(">I4s", 16, b"jumb") + inside):
        with pytest.raises(ValueError, match="expected"):
            read_store(wrong)
    deep = b""
    for _ in range(40):
        deep = struct.pack(">I4s", 8 + len(deep), b"jumb") + deep
    with pytest.raises(ValueError, match="deep"):
        read_store(deep)
