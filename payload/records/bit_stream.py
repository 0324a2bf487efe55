"""Bits one after another, most significant first, written to and read from whole bytes."""

from __future__ import annotations


class BitWriter:
    """Collects bits; ``count`` is how many there are."""

    def __init__(self) -> None:
        self._value = 0
        self.count = 0

    def write(self, value: int, bits: int) -> None:
        """Append a number as so many bits."""
        assert 0 <= value < 1 << bits
        self._value = self._value << bits | value
        self.count += bits

    def to_bytes(self, size: int) -> bytes:
        """Give the bits as so many bytes, zeros behind them."""
        assert 8 * size >= self.count
        return (self._value << (8 * size - self.count)).to_bytes(size, "big")


class BitReader:
    """Takes bits off the front of bytes."""

    def __init__(self, content: bytes) -> None:
        self._value = int.from_bytes(content, "big")
        self.left = 8 * len(content)

    def read(self, bits: int) -> int:
        """Take the next bits as a number; ``ValueError`` where there are too few."""
        if bits > self.left:
            raise ValueError(f"expected {bits} more bits, found {self.left}")
        self.left -= bits
        value = self._value >> self.left
        self._value &= (1 << self.left) - 1
        return value

    def rest_is_zero(self) -> bool:
        """Tell whether nothing but zeros is left."""
        return self._value == 0
