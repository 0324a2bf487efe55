"""How pictures are marked, besides the record: what one picture needs to know, and a run's manifest remembers."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, Literal, get_args

from wam.errors import OptionsError
from wam.networks.strength import Amount, checked
from wam.provenance.disclosure import Disclosure

KEY_DIGITS = 8  # hexadecimal: enough to notice another key, too few to tell which one it is
SALT_BYTES = 8

Mode = Literal["link", "record"]
LabelChoice = bool | str | Sequence[str] | Mapping[str, Any] | Disclosure | None


@dataclass(frozen=True)
class MarkOptions:
    """How pictures are marked.

    ``mode`` link or record; ``strength`` gentle or strong, None for normal, or a PSNR in dB; ``label``: what the
    metadata say of a generated picture, a ``Disclosure``, presets by name or True for what ``cn`` stands for, False or
    None for nothing (see ``disclosure``); ``frames``: mark all frames of animations, which are refused otherwise;
    ``key``: what ``key_name`` says of the secret, None for the public carrier; ``encrypt``: the record, in record mode;
    ``quality`` of lossy outputs, 1 to 100, None for each source's own; ``keep``: refuse to write a file without
    something that no other copy of the picture can give back, for outputs that take their input's place; ``c2pa``: sign
    a manifest into the file.
    """

    mode: Mode = "link"
    strength: Amount = None
    label: LabelChoice = False
    frames: bool = False
    key: str | None = None
    encrypt: bool = False
    quality: int | None = None
    keep: bool = False
    c2pa: bool = False

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode):
            raise OptionsError(f"mode: expected link or record, found {self.mode}; choose one")
        try:
            object.__setattr__(self, "strength", checked(self.strength))
        except ValueError as error:
            raise OptionsError(str(error)) from error
        object.__setattr__(self, "label", Disclosure.of(self.label))
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise OptionsError(
                f"quality: expected 1 to 100, found {self.quality}; choose one, or None for the source's own"
            )
        if self.encrypt and self.mode != "record":
            raise OptionsError(
                "encrypt: expected mode record with it, found link; nothing secret is in the pixels there"
            )
        if self.encrypt and self.label:
            raise OptionsError(
                "label: expected it without encrypt, found both; it says owner and asset for all to read"
            )

    def to_dict(self) -> dict[str, Any]:
        """For a line of the manifest: what outputs depend on, ``keep`` decides only whether there is one. ``c2pa`` is
        left out where it is off, as in lines from before it."""
        left_out = {"keep"} if self.c2pa else {"keep", "c2pa"}
        said = {one.name: getattr(self, one.name) for one in fields(self) if one.name not in left_out}
        return said | {"label": False if self.disclosure is None else self.disclosure.to_json()}

    @property
    def disclosure(self) -> Disclosure | None:
        """``label`` as it was understood."""
        return Disclosure.of(self.label)


def require_mode(mode: Mode, options: MarkOptions) -> None:
    """Raises ``OptionsError`` for options of the other mode."""
    if options.mode != mode:
        raise OptionsError(f"options: expected mode {mode}, found {options.mode}; use the marking of that mode")


def key_name(key: bytes | None) -> str | None:
    """What a manifest says of a secret: SALT-DIGITS, another one each time, so that neither two manifests nor a list of
    likely keys tell more than ``names_key`` does; None for none.

    >>> key_name(b"0123456789abcdef") != key_name(b"0123456789abcdef"), key_name(None)
    (True, None)
    """
    if key is None:
        return None
    salt = secrets.token_hex(SALT_BYTES)
    return f"{salt}-{_digits(key, salt)}"


def names_key(name: object, key: bytes | None) -> bool:
    """Whether a manifest's name is one of this secret, or None of none. 0.2.0 wrote digits without a salt.

    >>> key = b"0123456789abcdef"
    >>> names_key(key_name(key), key), names_key(key_name(key), key[:-1] + b"g"), names_key(None, key)
    (True, False, False)
    """
    if key is None or not isinstance(name, str):
        return key is None and name is None
    salt, _, digits = name.rpartition("-")
    if salt:
        return hmac.compare_digest(digits.encode(), _digits(key, salt).encode())
    return hmac.compare_digest(
        digits.encode(), hmac.new(key, b"wam manifest", hashlib.sha256).hexdigest()[:KEY_DIGITS].encode()
    )


@lru_cache(maxsize=256)
def _digits(key: bytes, salt: str) -> str:
    """By scrypt, some 50 ms each: a manifest is not to be what a weak key is guessed by."""
    digest = hashlib.scrypt(key, salt=salt.encode(), n=1 << 14, r=8, p=1, dklen=KEY_DIGITS // 2)
    return digest.hex()
