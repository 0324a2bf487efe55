"""Fingerprints as records have them: PDQ, 256 bits. No database here: whoever reads a picture imports it."""

from __future__ import annotations

PDQ_BITS = 256
WITHIN = 30  # bits; PDQ's authors advise 31, which is the same: its hashes have 128 ones each, so they differ evenly

_DIGITS = PDQ_BITS // 4


def pdq_text(bits: int | None) -> str | None:
    """Write a fingerprint as 64 hexadecimal digits."""
    if bits is None:
        return None
    if not 0 <= bits < 1 << PDQ_BITS:
        raise ValueError(f"expected a fingerprint of {PDQ_BITS} bits, found {bits}; use PDQ")
    return f"{bits:0{_DIGITS}x}"
