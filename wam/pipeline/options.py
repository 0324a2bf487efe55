"""What a run marks its files with besides their records: what the manifest remembers, so that `--resume` notices."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

KEY_DIGITS = 8  # hexadecimal: enough to notice another key, too few to tell which one it is


@dataclass(frozen=True)
class Settings:
    """How files are marked.

    ``mode`` link or record; ``strength`` PSNR in dB, None for a model that sets its own; ``label``: write the metadata
    label; ``frames``: mark all frames of animations, which are refused otherwise; ``key``: what `key_name` says of the
    secret, None for the public carrier; ``encrypt``: the record, in record mode; ``quality`` of lossy outputs, 1
    to 100, None for each source's own.
    """

    mode: str = "link"
    strength: float | None = None
    label: bool = False
    frames: bool = False
    key: str | None = None
    encrypt: bool = False
    quality: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """For a line of the manifest."""
        return asdict(self)

    def differences(self, line: dict[str, Any]) -> tuple[str, ...]:
        """What the manifest's line of a marked file says was otherwise, each as ``NAME was THAT, is THIS``."""
        earlier = line.get("settings")
        if not isinstance(earlier, dict):
            return ("settings were not noted",)
        return tuple(self._differences(earlier, line.get("frames")))

    def _differences(self, earlier: dict[str, Any], frames: object) -> Iterator[str]:
        for name, now in self.to_dict().items():
            before = earlier.get(name)
            if name == "frames" and frames == 1:
                continue  # a still picture: nothing depends on it
            if before != now:
                yield f"{name} was {_shown(name, before)}, is {_shown(name, now)}"


USUAL = Settings()


def key_name(key: bytes | None) -> str | None:
    """Eight digits that tell one secret from another without telling it; None for none.

    >>> key_name(b"0123456789abcdef") != key_name(b"0123456789abcdeg"), key_name(None)
    (True, None)
    """
    return None if key is None else hmac.new(key, b"wam manifest", hashlib.sha256).hexdigest()[:KEY_DIGITS]


def _shown(name: str, value: object) -> str:
    if name == "strength":
        return f"{value:g} dB" if isinstance(value, int | float) else "the model's own"
    if name == "quality" and value is None:
        return "the source's own"
    if isinstance(value, bool):
        return "on" if value else "off"
    return "none" if value is None else str(value)
