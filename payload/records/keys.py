"""One secret key and what is drawn from it: a carrier key, an authentication key and an encryption key.

HKDF with SHA-256 (RFC 5869), no salt, the info strings below: none of the three tells anything
about the others or about the secret.
"""

from __future__ import annotations

from dataclasses import dataclass, field

SUBKEY_BYTES = 32
SHORTEST_SECRET = 16  # bytes of the shortest secret that is accepted

_INFO = "wam-toolkit {} key 1"


@dataclass(frozen=True)
class Subkeys:
    """32 bytes each; not shown when printed."""

    carrier: bytes = field(repr=False)
    authentication: bytes = field(repr=False)
    encryption: bytes = field(repr=False)


def derive_subkeys(secret: bytes) -> Subkeys:
    """Draw the three keys from a secret of at least 16 bytes, such as the contents of a key file."""
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    if len(secret) < SHORTEST_SECRET:
        raise ValueError(
            f"key: expected at least {SHORTEST_SECRET} bytes, found {len(secret)}; make one with: wam key new FILE"
        )
    names = ("carrier", "authentication", "encryption")
    made = [HKDF(SHA256(), SUBKEY_BYTES, None, _INFO.format(name).encode()).derive(secret) for name in names]
    return Subkeys(*made)


def keystream(key: bytes, seal: bytes, size: int) -> bytes:
    """Draw so many bytes by AES-256 in counter mode, the seal as the first four bytes of the first counter."""
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.algorithms import AES
    from cryptography.hazmat.primitives.ciphers.modes import CTR

    encryptor = Cipher(AES(key), CTR(seal.ljust(16, b"\0"))).encryptor()
    return encryptor.update(bytes(size)) + encryptor.finalize()
