"""Certificates of every kind, for the tests of who may sign and of what a reader says of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from wam.provenance.credentials import PrivateKey

PEM = serialization.Encoding.PEM
NOW = datetime.now(UTC)


def name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


ROOT_KEY = ec.generate_private_key(ec.SECP256R1())


def leaf(
    key: PrivateKey,
    *,
    subject: str = "signer",
    start: int = -1,
    end: int = 30,
    signs: bool = True,
    purpose: x509.ObjectIdentifier | None = ExtendedKeyUsageOID.EMAIL_PROTECTION,
    issuer: ec.EllipticCurvePrivateKey = ROOT_KEY,
    names_issuer: bool = True,
) -> bytes:
    usage = x509.KeyUsage(signs, False, not signs, False, False, False, False, False, False)
    builder = (
        x509.CertificateBuilder(name("root"), name(subject), key.public_key(), x509.random_serial_number())
        .not_valid_before(NOW + timedelta(days=start))
        .not_valid_after(NOW + timedelta(days=end))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
    )
    if names_issuer:
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key())
        builder = builder.add_extension(identifier, critical=False)
    if purpose is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=True)
    return builder.sign(issuer, hashes.SHA256()).public_bytes(PEM)


def root() -> bytes:
    return (
        x509.CertificateBuilder(name("root"), name("root"), ROOT_KEY.public_key(), x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=90))
        .not_valid_after(NOW + timedelta(days=90))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(ROOT_KEY, hashes.SHA256())
        .public_bytes(PEM)
    )


def private(key: PrivateKey, password: bytes | None = None) -> bytes:
    hidden = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, hidden)


KEY_OF_LEAF = ec.generate_private_key(ec.SECP256R1())
