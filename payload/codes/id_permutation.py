"""Spread serial numbers over the 21-bit ids by a permutation that the registry's secret keys.

An alternating Feistel network (Hoang and Rogaway, On generalized Feistel networks, 2010) on halves
of 11 and 10 bits: a bijection by construction, so no two serial numbers share an id and no cycle
has to be walked. Whoever lacks the secret cannot tell from a few ids how many were allocated, or in
which order; it is no protection against someone who holds the registry.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import shake_256

import numpy as np
import numpy.typing as npt

from payload.layout import ID_BITS, ID_COUNT

SECRET_BYTES = 16

_ROUNDS = 10
_RIGHT_BITS = ID_BITS // 2
_LEFT_BITS = ID_BITS - _RIGHT_BITS
_LABEL = b"wam link permutation 1"


def permute(secret: bytes, serials: npt.ArrayLike) -> npt.NDArray[np.uint32]:
    """Map serial numbers in [0, 2^21) to ids, uint32 of the same shape."""
    if len(secret) != SECRET_BYTES:
        raise ValueError(
            f"expected a secret of {SECRET_BYTES} bytes, found {len(secret)}; "
            "use the one that the registry was created with"
        )
    numbers = np.asarray(serials)
    if numbers.size and not (numbers.min() >= 0 and numbers.max() < ID_COUNT):
        found = f"{numbers.min()} to {numbers.max()}"
        raise ValueError(f"expected serial numbers in [0, {ID_COUNT}), found {found}; start at 0")
    left = (numbers >> _RIGHT_BITS).astype(np.uint32)
    right = (numbers & (1 << _RIGHT_BITS) - 1).astype(np.uint32)
    tables = _round_tables(secret)
    for from_right, from_left in zip(tables[0::2], tables[1::2], strict=True):
        left = left ^ from_right[right]
        right = right ^ from_left[left]
    return left << np.uint32(_RIGHT_BITS) | right


@lru_cache(maxsize=8)
def _round_tables(secret: bytes) -> tuple[npt.NDArray[np.uint32], ...]:
    """Tabulate each round's function of one half, applied to the other half.

    Entry i of round r is the little-endian 16-bit number at byte 2i of SHAKE-256(label, secret, r),
    reduced to the bits of the half that it changes.
    """
    tables = []
    for index in range(_ROUNDS):
        source, target = (_LEFT_BITS, _RIGHT_BITS) if index % 2 else (_RIGHT_BITS, _LEFT_BITS)
        stream = shake_256(_LABEL + secret + bytes([index])).digest(2 << source)
        values = np.frombuffer(stream, dtype="<u2") & np.uint16((1 << target) - 1)
        tables.append(values.astype(np.uint32))
    return tuple(tables)
