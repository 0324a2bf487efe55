"""Who signs: a chain of certificates and its private key, looked at before any picture is marked; and chains for tests.

C2PA wants a leaf that is not its own issuer, whose key may sign (``digitalSignature``) and whose extended key usage is
``emailProtection``, ``documentSigning`` or the claim signing of the C2PA trust list (C2PA 2.4, section 14.5).
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from urllib.parse import urlsplit

from wam.errors import WamError, show_name
from wam.pictures.atomic_write import save_atomically
from wam.provenance.manifest_definition import Declared

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey

Algorithm = Literal["ES256", "ES384", "ES512", "PS256", "ED25519"]

CLAIM_SIGNING = "1.3.6.1.4.1.62558.2.1"  # extended key usage of the C2PA trust list
USAGES = {"1.3.6.1.5.5.7.3.4": "emailProtection", "1.3.6.1.5.5.7.3.36": "documentSigning", CLAIM_SIGNING: "claim"}
MOST_BYTES = 1 << 20  # of a file with certificates or a key
LEAST_RSA = 2048  # bits
CHAIN, KEY, ROOT = "chain.pem", "key.pem", "root.pem"  # what test certificates are called
_CURVES: dict[str, Algorithm] = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
_ROOT_DAYS, _LEAF_DAYS = 3650, 365


class CredentialsError(WamError):
    """A manifest cannot be signed: what is wrong with the certificates, the key, or the file."""


@dataclass(frozen=True)
class Credentials:
    """A signer: ``chain`` certificates in PEM, the leaf first; ``key`` its private key in PEM; ``tsa`` the URL of a
    time stamping authority (RFC 3161), which is asked for each picture.

    ``source_type``: what the pictures are, a URI of the IPTC digital source types, None where that is not stated;
    ``ai_model`` that made them, by name; ``training`` False: they may not be mined or trained on, True: they may, None:
    nothing is said of it. Raises ``CredentialsError`` for what could not sign now.
    """

    chain: bytes = field(repr=False)
    key: bytes = field(repr=False)
    tsa: str | None = None
    source_type: str | None = None
    ai_model: str | None = None
    training: bool | None = None

    def __post_init__(self) -> None:
        _check(self.chain, self.key, datetime.now(UTC))
        if self.tsa is not None and urlsplit(self.tsa).scheme not in ("http", "https"):
            raise CredentialsError(f"tsa: expected a URL with http or https, found {show_name(self.tsa)}; correct it")

    @classmethod
    def open(
        cls,
        chain: str | os.PathLike[str],
        key: str | os.PathLike[str],
        *,
        tsa: str | None = None,
        source_type: str | None = None,
        ai_model: str | None = None,
        training: bool | None = None,
    ) -> Credentials:
        """The signer of two PEM files; raises ``CredentialsError``."""
        return cls(_content(chain), _content(key), tsa, source_type, ai_model, training)

    @property
    def declared(self) -> Declared:
        """What it says of the pictures."""
        return Declared(self.source_type, self.ai_model, self.training)

    @property
    def algorithm(self) -> Algorithm:
        """What the key signs with."""
        return _algorithm(_load_key(self.key))

    def sign(self, data: bytes) -> bytes:
        """The signature as COSE has it (RFC 9053): of elliptic curves two numbers, each as long as the curve's."""
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, utils

        key = _load_key(self.key)
        if isinstance(key, ed25519.Ed25519PrivateKey):
            return key.sign(data)
        if isinstance(key, ec.EllipticCurvePrivateKey):
            digests = {"ES256": hashes.SHA256(), "ES384": hashes.SHA384(), "ES512": hashes.SHA512()}
            first, second = utils.decode_dss_signature(key.sign(data, ec.ECDSA(digests[_algorithm(key)])))
            size = (key.curve.key_size + 7) // 8
            return first.to_bytes(size, "big") + second.to_bytes(size, "big")
        return key.sign(data, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())


def require_private(key: str | os.PathLike[str]) -> None:
    """Raises ``CredentialsError`` for a private key that others than its owner may read, where files have such
    rights."""
    try:
        mode = os.stat(key).st_mode
    except OSError as error:
        raise CredentialsError(
            f"{show_name(key)}: expected a private key, found: {error.strerror}; check the path"
        ) from error
    if os.name == "posix" and mode & 0o077:
        raise CredentialsError(
            f"{show_name(key)}: expected a private key that its owner alone may read, found mode {mode & 0o777:o}; "
            "run chmod 600 on it"
        )


def read_anchors(path: str | os.PathLike[str]) -> bytes:
    """Root certificates in PEM; raises ``CredentialsError`` for a file without any."""
    content = _content(path)
    _certificates(content, show_name(path))
    return content


def make_test_chain(folder: str | os.PathLike[str], *, days: float = _LEAF_DAYS) -> list[Path]:
    """Writes a root, a leaf with its chain and the leaf's key to a folder, for tests only: nobody trusts the root.

    ``days`` that the leaf is valid from now; 0 or less: it has expired. Raises ``CredentialsError`` where one of the
    files is there: a chain that signed something is not to be lost.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    place = Path(folder)
    files = [place / name for name in (CHAIN, KEY, ROOT)]
    for file in files:
        if file.exists():
            raise CredentialsError(f"{show_name(file)}: expected no file, found one; choose another folder")
    root_key, leaf_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root, leaf = _make_root(root_key), None
    leaf = _make_leaf(root, root_key, leaf_key, days)
    pem = serialization.Encoding.PEM
    private = leaf_key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    contents = (leaf.public_bytes(pem) + root.public_bytes(pem), private, root.public_bytes(pem))
    try:
        place.mkdir(parents=True, exist_ok=True)
        for file, content in zip(files, contents, strict=True):
            save_atomically(file, partial(_write, content), private=True)
    except OSError as error:
        raise CredentialsError(
            f"{show_name(place)}: expected a folder to write to, found: {error.strerror}; choose another"
        ) from error
    return files


def _write(content: bytes, temporary: Path) -> None:
    temporary.write_bytes(content)


def _content(path: str | os.PathLike[str]) -> bytes:
    try:
        with open(path, "rb") as stream:
            content = stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise CredentialsError(
            f"{show_name(path)}: expected a PEM file, found: {error.strerror}; check the path"
        ) from error
    if len(content) > MOST_BYTES:
        raise CredentialsError(f"{show_name(path)}: expected a PEM file, found more than {MOST_BYTES} bytes; check it")
    return content


def _certificates(chain: bytes, name: str) -> list[x509.Certificate]:
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificates(chain)
    except ValueError as error:
        raise CredentialsError(
            f"{name}: expected certificates in PEM, found none that can be read; check it"
        ) from error


def _load_key(key: bytes) -> PrivateKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        loaded = load_pem_private_key(key, password=None)
    except TypeError as error:
        raise CredentialsError("key: expected one without a password, found one with; decrypt it first") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CredentialsError("key: expected a private key in PEM, found none that can be read; check it") from error
    if isinstance(loaded, ec.EllipticCurvePrivateKey) and loaded.curve.name in _CURVES:
        return loaded
    if isinstance(loaded, ed25519.Ed25519PrivateKey):
        return loaded
    if isinstance(loaded, rsa.RSAPrivateKey) and loaded.key_size >= LEAST_RSA:
        return loaded
    raise CredentialsError(
        f"key: expected P-256, P-384, P-521, Ed25519 or RSA of {LEAST_RSA} bits or more, found another; "
        "C2PA signs with those"
    )


def _algorithm(key: PrivateKey) -> Algorithm:
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    if isinstance(key, ec.EllipticCurvePrivateKey):
        return _CURVES[key.curve.name]
    return "PS256" if isinstance(key, rsa.RSAPrivateKey) else "ED25519"


def _check(chain: bytes, key: bytes, now: datetime) -> None:
    """Raises ``CredentialsError`` for the first thing that a reader would refuse."""
    from cryptography.exceptions import InvalidSignature

    leaf, *others = _certificates(chain, "certificates")
    name = f"certificate of {show_name(leaf.subject.rfc4514_string())}"
    if leaf.not_valid_after_utc <= now:
        raise CredentialsError(
            f"{name}: expected a valid one, found it expired on {leaf.not_valid_after_utc:%F}; renew it"
        )
    if leaf.not_valid_before_utc > now:
        raise CredentialsError(
            f"{name}: expected a valid one, found it valid from {leaf.not_valid_before_utc:%F}; wait until then"
        )
    if leaf.subject == leaf.issuer:
        raise CredentialsError(
            f"{name}: expected one that an authority issued, found it self-signed; put the leaf first"
        )
    _check_usage(leaf, name)
    if leaf.public_key() != _load_key(key).public_key():
        raise CredentialsError(f"{name}: expected the key that belongs to it, found another; the leaf comes first")
    for issued, issuer in zip([leaf, *others], others, strict=False):
        try:
            issued.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature) as error:
            raise CredentialsError(
                "certificates: expected each to be issued by the next, found that "
                f"{show_name(issued.subject.rfc4514_string())} is not; put the leaf first, then its issuers"
            ) from error


def _check_usage(leaf: x509.Certificate, name: str) -> None:
    from cryptography import x509

    def extension(kind: Any) -> Any:
        try:
            return leaf.extensions.get_extension_for_class(kind).value
        except x509.ExtensionNotFound:
            return None

    usage = extension(x509.KeyUsage)
    if usage is None or not usage.digital_signature:
        raise CredentialsError(f"{name}: expected one whose key may sign (digitalSignature), found none; use another")
    if extension(x509.AuthorityKeyIdentifier) is None:
        raise CredentialsError(f"{name}: expected one that names its issuer's key (authorityKeyIdentifier), found none")
    purposes = {one.dotted_string for one in extension(x509.ExtendedKeyUsage) or ()}
    if not purposes & set(USAGES):
        raise CredentialsError(
            f"{name}: expected the extended key usage emailProtection, documentSigning or {CLAIM_SIGNING}, "
            f"found {', '.join(sorted(purposes)) or 'none'}; use a certificate for signing content"
        )


def _make_root(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    name, now = _name("wam test root"), datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    return (
        builder.not_valid_before(now - timedelta(days=2 * _ROOT_DAYS))
        .not_valid_after(now + timedelta(days=_ROOT_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_key_usage(sign=False), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _make_leaf(
    root: x509.Certificate, root_key: ec.EllipticCurvePrivateKey, key: ec.EllipticCurvePrivateKey, days: float
) -> x509.Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID

    end = datetime.now(UTC) + timedelta(days=days)
    builder = x509.CertificateBuilder(
        root.subject, _name("wam test signer"), key.public_key(), x509.random_serial_number()
    )
    return (
        builder.not_valid_before(end - timedelta(days=_LEAF_DAYS + abs(days)))
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(sign=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False)
        .sign(root_key, hashes.SHA256())
    )


def _key_usage(*, sign: bool) -> x509.KeyUsage:
    """For a key that signs content, or one that signs certificates."""
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=sign, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=not sign, crl_sign=not sign, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _name(common: str) -> x509.Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    parts = ((NameOID.ORGANIZATION_NAME, "wam test, do not trust"), (NameOID.COMMON_NAME, common))
    return x509.Name([x509.NameAttribute(oid, text) for oid, text in parts])
