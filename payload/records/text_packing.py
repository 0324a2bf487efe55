"""Short texts as few bits: a class, a length, and the symbols as one number in the base of the class."""

from __future__ import annotations

import re
from dataclasses import dataclass
from string import ascii_lowercase, ascii_uppercase, digits

from payload.records.bit_stream import BitReader, BitWriter

_SIGNS = " -_.@/"
_PRINTABLE = "".join(map(chr, range(0x20, 0x7F)))
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_UUID_BITS = 128


@dataclass(frozen=True)
class TextClass:
    """A set of characters; a text of n of them takes the bits of the base to the power of n."""

    name: str
    alphabet: str

    @property
    def base(self) -> int:
        """Number of different symbols; bytes where there is no alphabet."""
        return len(self.alphabet) or 256


# Class numbers in the frame are positions in this table; symbol values are positions in the alphabet.
CLASSES = (
    TextClass("digits", digits),
    TextClass("hexadecimal", digits + "abcdef"),
    TextClass("upper-case hexadecimal", digits + "ABCDEF"),
    TextClass("lower case and signs", ascii_lowercase + _SIGNS),
    TextClass("upper case and signs", ascii_uppercase + _SIGNS),
    TextClass("lower case, digits and signs", digits + ascii_lowercase + " -_."),
    TextClass("upper case, digits and signs", digits + ascii_uppercase + " -_."),
    TextClass("letters, digits, - and _", digits + ascii_uppercase + ascii_lowercase + "-_"),
    TextClass("printable ASCII", _PRINTABLE),
    TextClass("UUID in lower case", digits + "abcdef"),
    TextClass("UTF-8", ""),
)

CLASS_BITS = 4
_UUID_CLASS = 9
_LENGTH_GROUP = 4


def write_text(writer: BitWriter, text: str) -> None:
    """Write a text of at least one character in the class that takes fewest bits."""
    number, length, value, bits = min(_choices(text), key=lambda choice: choice[3])
    writer.write(number, CLASS_BITS)
    if number != _UUID_CLASS:
        _write_length(writer, length)
    writer.write(value, bits)


def read_text(reader: BitReader) -> str:
    """Read what ``write_text`` wrote; ``ValueError`` for bits that it cannot have written."""
    number = reader.read(CLASS_BITS)
    if number >= len(CLASSES):
        raise ValueError(f"text: expected a class below {len(CLASSES)}, found {number}")
    if number == _UUID_CLASS:
        plain = f"{reader.read(_UUID_BITS):032x}"
        return "-".join((plain[:8], plain[8:12], plain[12:16], plain[16:20], plain[20:]))
    chosen = CLASSES[number]
    length = _read_length(reader)
    value = reader.read(_symbol_bits(chosen.base, length))
    symbols = []
    for _ in range(length):
        value, symbol = divmod(value, chosen.base)
        symbols.append(symbol)
    if value:
        raise ValueError("text: expected symbols of its class, found a larger number")
    symbols.reverse()
    if chosen.alphabet:
        return "".join(chosen.alphabet[symbol] for symbol in symbols)
    return bytes(symbols).decode("utf-8")  # UnicodeDecodeError is a ValueError


def text_bits(text: str) -> int:
    """Count the bits that ``write_text`` takes."""
    writer = BitWriter()
    write_text(writer, text)
    return writer.count


def _choices(text: str) -> list[tuple[int, int, int, int]]:
    """List class number, length, value and total bits for every class that has all characters."""
    found = []
    for number, each in enumerate(CLASSES):
        if number == _UUID_CLASS:
            if _UUID.fullmatch(text):
                found.append((number, len(text), int(text.replace("-", ""), 16), _UUID_BITS))
            continue
        if each.alphabet and not set(text) <= set(each.alphabet):
            continue
        symbols = [each.alphabet.index(character) for character in text] if each.alphabet else list(text.encode())
        value = 0
        for symbol in symbols:
            value = value * each.base + symbol
        found.append((number, len(symbols), value, _symbol_bits(each.base, len(symbols))))
    return found


def _symbol_bits(base: int, length: int) -> int:
    """Count the bits of the largest number of so many symbols."""
    largest: int = base**length - 1
    return largest.bit_length()


def _write_length(writer: BitWriter, length: int) -> None:
    """Write length - 1 in groups of four bits, most significant first; a leading one means that more follow."""
    value = length - 1
    groups = [value & 15]
    while value := value >> _LENGTH_GROUP:
        groups.append(value & 15)
    for place, group in enumerate(reversed(groups)):
        writer.write(int(place < len(groups) - 1) << _LENGTH_GROUP | group, _LENGTH_GROUP + 1)


def _read_length(reader: BitReader) -> int:
    """Read what ``_write_length`` wrote."""
    value = 0
    while True:
        group = reader.read(_LENGTH_GROUP + 1)
        value = value << _LENGTH_GROUP | group & 15
        if not group >> _LENGTH_GROUP:
            return value + 1
