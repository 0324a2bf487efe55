"""What a soft binding of this toolkit names a mark by: its word of 32 bits, and the generation of a labelled one.

| value   | means                                                                                             |
|---------|---------------------------------------------------------------------------------------------------|
| 4 bytes | the word; a plain mark, or, in manifests of before 0.3.0 was finished, one of any generation       |
| 8 bytes | the word, then the generation, of a mark that is labelled                                          |

Both most significant byte first. Words of different generations are the same numbers, so that a manifest that names a
word alone may be another picture's: such a match is half of a name, and is said to be.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

WORD_BYTES, WHOLE_BYTES = 4, 8
EXACT, HALF = 100, 50  # how sure a match is: of the whole name, or of the word with nothing said of its generation


@dataclass(frozen=True)
class MarkName:
    """A mark as it was read: its ``word``; whether it is ``labelled``, and then the ``generation``, None where that is
    another registry's and not known."""

    word: int
    generation: int | None = None
    labelled: bool = False

    @property
    def value(self) -> bytes:
        """What a manifest names it by, as far as it is known.

        >>> MarkName(0x01020304).value, MarkName(0x01020304, 1, True).value
        (b'\\x01\\x02\\x03\\x04', b'\\x01\\x02\\x03\\x04\\x00\\x00\\x00\\x01')
        """
        word = self.word.to_bytes(WORD_BYTES, "big")
        return word if self.generation is None else word + self.generation.to_bytes(WHOLE_BYTES - WORD_BYTES, "big")

    def match(self, value: bytes) -> int:
        """How surely a manifest's value names it: ``EXACT``, ``HALF``, or 0 for not at all.

        >>> labelled = MarkName(0x01020304, 1, True)
        >>> [labelled.match(one) for one in (labelled.value, labelled.value[:4], MarkName(0x01020304, 2, True).value)]
        [100, 50, 0]
        >>> MarkName(0x01020304).match(labelled.value)
        0
        """
        if value == self.value:
            return HALF if self.labelled and self.generation is None else EXACT
        if not self.labelled or value[:WORD_BYTES] != self.value[:WORD_BYTES]:
            return 0
        return HALF if len(value) == WORD_BYTES or (self.generation is None and len(value) == WHOLE_BYTES) else 0


def asked_match(asked: bytes, value: bytes) -> int:
    """How surely a manifest's value is the one that was asked for by its bytes: half a name asks for every generation.

    >>> whole = MarkName(0x01020304, 1, True).value
    >>> asked_match(whole, whole), asked_match(whole, whole[:4]), asked_match(whole[:4], whole), asked_match(b"1", b"2")
    (100, 50, 50, 0)
    """
    if asked == value:
        return EXACT
    sizes = {len(asked), len(value)}
    return HALF if sizes == {WORD_BYTES, WHOLE_BYTES} and asked[:WORD_BYTES] == value[:WORD_BYTES] else 0


def entered(values: Iterable[bytes]) -> tuple[bytes, ...]:
    """What manifests that name these values are entered under and looked for by: each value, and the word in it."""
    given = list(values)
    return tuple(dict.fromkeys([*given, *(one[:WORD_BYTES] for one in given if len(one) == WHOLE_BYTES)]))


def named(values: Iterable[bytes]) -> tuple[bytes, ...]:
    """The values that a manifest names, of those that it is entered under: a word that stands there for the whole of
    its name is left out.

    >>> whole = MarkName(0x01020304, 1, True).value
    >>> named(entered([whole])) == (whole,), named([whole[:4]]) == (whole[:4],)
    (True, True)
    """
    given = list(values)
    whole = {one[:WORD_BYTES] for one in given if len(one) == WHOLE_BYTES}
    return tuple(one for one in given if one not in whole)
