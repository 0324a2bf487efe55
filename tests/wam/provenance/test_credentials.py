"""Who may sign: chains and keys that a reader would refuse are refused before anything is marked, each in one line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.wam.provenance.chains import KEY_OF_LEAF, leaf, private, root
from wam.provenance.credentials import (
    CHAIN,
    KEY,
    ROOT,
    Credentials,
    CredentialsError,
    make_test_chain,
    read_anchors,
)

if TYPE_CHECKING:
    from wam.provenance.credentials import PrivateKey


@pytest.mark.parametrize(
    ("how", "found"),
    [
        ({"start": -60, "end": -30}, "found it expired on"),
        ({"start": 1}, "found it valid from"),
        ({"subject": "root"}, "found it self-signed"),
        ({"signs": False}, r"expected one whose key may sign \(digitalSignature\)"),
        ({"purpose": ExtendedKeyUsageOID.SERVER_AUTH}, r"found 1\.3\.6\.1\.5\.5\.7\.3\.1; use a certificate"),
        ({"names_issuer": False}, "authorityKeyIdentifier"),
        ({"purpose": None}, "found none; use a certificate for signing content"),
        ({"issuer": KEY_OF_LEAF}, "expected each to be issued by the next, found that CN=signer is not"),
    ],
)
def test_chains_that_a_reader_would_refuse(how: dict[str, object], found: str) -> None:
    with pytest.raises(CredentialsError, match=found) as refused:
        Credentials(leaf(KEY_OF_LEAF, **how) + root(), private(KEY_OF_LEAF))  # type: ignore[arg-type]
    assert "\n" not in str(refused.value)


def test_a_key_of_another_certificate() -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(CredentialsError, match="expected the key that belongs to it, found another"):
        Credentials(leaf(KEY_OF_LEAF) + root(), private(other))


@pytest.mark.parametrize(
    ("key", "found"),
    [
        (b"no key", "found none that can be read"),
        (private(KEY_OF_LEAF, b"password"), "expected one without a password, found one with"),
        (private(ec.generate_private_key(ec.SECP256K1())), "found another"),
    ],
)
def test_keys_that_nothing_is_signed_with(key: bytes, found: str) -> None:
    with pytest.raises(CredentialsError, match=f"^key: .*{found}"):
        Credentials(leaf(KEY_OF_LEAF) + root(), key)


@pytest.mark.parametrize("chain", [b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_what_is_no_certificate(chain: bytes) -> None:
    with pytest.raises(CredentialsError, match="certificates: expected certificates in PEM"):
        Credentials(chain, private(KEY_OF_LEAF))


def test_files_that_are_missing_or_too_long(tmp_path: Path) -> None:
    with pytest.raises(CredentialsError, match="expected a PEM file, found: No such file"):
        Credentials.open(tmp_path / "none.pem", tmp_path / "none.pem")
    long = tmp_path / "long.pem"
    long.write_bytes(bytes((1 << 20) + 1))
    with pytest.raises(CredentialsError, match="found more than 1048576 bytes"):
        read_anchors(long)


def test_a_time_stamping_authority_is_asked_over_http() -> None:
    with pytest.raises(CredentialsError, match="tsa: expected a URL with http or https, found file:///etc/passwd"):
        Credentials(leaf(KEY_OF_LEAF) + root(), private(KEY_OF_LEAF), tsa="file:///etc/passwd")


@pytest.mark.parametrize(
    ("key", "algorithm", "size"),
    [
        (KEY_OF_LEAF, "ES256", 64),
        (ec.generate_private_key(ec.SECP384R1()), "ES384", 96),
        (ec.generate_private_key(ec.SECP521R1()), "ES512", 132),
        (ed25519.Ed25519PrivateKey.generate(), "ED25519", 64),
        (rsa.generate_private_key(65537, 2048), "PS256", 256),
    ],
)
def test_every_kind_of_key_signs_a_file(key: PrivateKey, algorithm: str, size: int) -> None:
    pytest.importorskip("c2pa", reason="needs c2pa-python")
    from tests.wam.provenance.c2pa_files import picture, read_independently, statement
    from wam.provenance.signing import sign_file
    from wam.provenance.source_types import GENERATED

    signer = Credentials(leaf(key) + root(), private(key))
    assert (signer.algorithm, len(signer.sign(b"data"))) == (algorithm, size)
    done = sign_file(picture("PNG"), statement("PNG", source_type=GENERATED), signer, name="a")
    assert read_independently(done.content, "PNG", root())["state"] == "Trusted"


def test_what_is_printed_of_a_signer_holds_no_key() -> None:
    shown = repr(Credentials(leaf(KEY_OF_LEAF) + root(), private(KEY_OF_LEAF)))
    assert "PRIVATE" not in shown and "CERTIFICATE" not in shown


class TestChains:
    def test_a_test_chain_may_sign(self, tmp_path: Path) -> None:
        files = make_test_chain(tmp_path / "new" / "folder")
        assert [file.name for file in files] == [CHAIN, KEY, ROOT]
        assert all(file.stat().st_mode & 0o077 == 0 for file in files)
        assert Credentials.open(files[0], files[1]).algorithm == "ES256"
        assert read_anchors(files[2]).count(b"BEGIN CERTIFICATE") == 1

    def test_an_expired_one_may_not(self, tmp_path: Path) -> None:
        chain, key, _ = make_test_chain(tmp_path, days=-1)
        with pytest.raises(CredentialsError, match="found it expired on"):
            Credentials.open(chain, key)

    def test_nothing_is_written_over(self, tmp_path: Path) -> None:
        chain, *_ = make_test_chain(tmp_path)
        before = chain.read_bytes()
        with pytest.raises(CredentialsError, match="expected no file, found one; choose another folder"):
            make_test_chain(tmp_path)
        assert chain.read_bytes() == before

    def test_a_folder_that_cannot_be_made(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(CredentialsError, match="expected a folder to write to"):
            make_test_chain(tmp_path / "file" / "folder")
