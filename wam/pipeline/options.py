"""How pictures are marked, besides the record: what one picture needs to know, and a run's manifest remembers."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

KEY_DIGITS = 8  # hexadecimal: enough to notice another key, too few to tell which one it is

Mode = Literal["link", "record"]


@dataclass(frozen=True)
class MarkOptions:
    """How pictures are marked.

    ``mode`` link or record; ``strength`` PSNR in dB, None for a model that sets its own; ``label``: write the metadata
    label; ``frames``: mark all frames of animations, which are refused otherwise; ``key``: what ``key_name`` says of
    the secret, None for the public carrier; ``encrypt``: the record, in record mode; ``quality`` of lossy outputs, 1
    to 100, None for each source's own.
    """

    mode: Mode = "link"
    strength: float | None = None
    label: bool = False
    frames: bool = False
    key: str | None = None
    encrypt: bool = False
    quality: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """For a line of the manifest."""
        return asdict(self)


def require_mode(mode: Mode, options: MarkOptions) -> None:
    """Raises ``ValueError`` for options of the other mode."""
    if options.mode != mode:
        raise ValueError(f"options: expected mode {mode}, found {options.mode}; use the marking of that mode")


def check_options(options: MarkOptions) -> None:
    """Raises ``ValueError`` for options that make no sense together, or by themselves."""
    if options.mode not in get_args(Mode):
        raise ValueError(f"mode: expected link or record, found {options.mode}; choose one")
    if options.quality is not None and not 1 <= options.quality <= 100:
        raise ValueError(f"quality: expected 1 to 100, found {options.quality}; choose one")
    if not options.encrypt:
        return
    if options.mode != "record":
        raise ValueError("encrypt: expected mode record with it, found link; nothing secret is in the pixels there")
    if options.key is None:
        raise ValueError("encrypt: expected a key, found none; give a key file or set WAM_KEY")
    if options.label:
        raise ValueError("label: expected it without encrypt, found both; it says owner and asset for all to read")


def key_name(key: bytes | None) -> str | None:
    """Eight digits that tell one secret from another without telling it; None for none.

    >>> key_name(b"0123456789abcdef") != key_name(b"0123456789abcdeg"), key_name(None)
    (True, None)
    """
    return None if key is None else hmac.new(key, b"wam manifest", hashlib.sha256).hexdigest()[:KEY_DIGITS]
