"""How pictures are marked, besides the record: what one picture needs to know, and a run's manifest remembers."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import asdict, dataclass
from typing import Any, Literal

KEY_DIGITS = 8  # hexadecimal: enough to notice another key, too few to tell which one it is

Mode = Literal["link", "record"]


@dataclass(frozen=True)
class MarkOptions:
    """How pictures are marked.

    ``mode`` link or record; ``strength`` PSNR in dB, None for a model that sets its own; ``label``: write the metadata
    label; ``frames``: mark all frames of animations, which are refused otherwise; ``key``: what ``key_name`` says of
    the secret, None for the public carrier; ``encrypt``: the record, in record mode; ``quality`` of lossy outputs, 1
    to 100, None for each source's own; ``keep``: refuse to write a file without something that no other copy of the
    picture can give back, for outputs that take their input's place.
    """

    mode: Mode = "link"
    strength: float | None = None
    label: bool = False
    frames: bool = False
    key: str | None = None
    encrypt: bool = False
    quality: int | None = None
    keep: bool = False

    def to_dict(self) -> dict[str, Any]:
        """For a line of the manifest: what outputs depend on, ``keep`` decides only whether there is one."""
        return {name: value for name, value in asdict(self).items() if name != "keep"}


def require_mode(mode: Mode, options: MarkOptions) -> None:
    """Raises ``ValueError`` for options of the other mode."""
    if options.mode != mode:
        raise ValueError(f"options: expected mode {mode}, found {options.mode}; use the marking of that mode")


def key_name(key: bytes | None) -> str | None:
    """Eight digits that tell one secret from another without telling it; None for none.

    >>> key_name(b"0123456789abcdef") != key_name(b"0123456789abcdeg"), key_name(None)
    (True, None)
    """
    return None if key is None else hmac.new(key, b"wam manifest", hashlib.sha256).hexdigest()[:KEY_DIGITS]
