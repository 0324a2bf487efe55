"""Errors of the toolkit, all catchable as one.

WamError
├── ImageError    a picture file cannot be read, marked or written
└── ModelError    a checkpoint is missing, altered or does not fit
"""

from __future__ import annotations

import os
from typing import Self


class WamError(Exception):
    """Anything the toolkit refuses to do; the message is one line for a person."""


class ImageError(WamError):
    """A picture file cannot be read, marked or written; the message starts with its name."""

    @classmethod
    def about(cls, name: str | os.PathLike[str], *, expected: str, found: str, remedy: str) -> Self:
        """The error as `NAME: expected ..., found ..., REMEDY`, always one line."""
        return cls(f"{show_name(name)}: expected {expected}, found {show_name(found)}, {remedy}")


class ModelError(WamError):
    """A checkpoint is missing, altered or does not fit this version."""


def show_name(name: str | os.PathLike[str]) -> str:
    r"""A file name as one printable line: line breaks and undecodable bytes are escaped.

    >>> show_name("two\nlines \udcff.png")
    'two\\nlines \\xff.png'
    """
    return "".join(_show_character(character) for character in os.fspath(name))


def _show_character(character: str) -> str:
    if character.isprintable():
        return character
    if "\udc80" <= character <= "\udcff":  # a byte that Python could not decode (PEP 383)
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")
