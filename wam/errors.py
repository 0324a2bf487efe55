"""Errors of the toolkit, all catchable as one.

WamError
├── ImageError    a picture file cannot be read, marked or written
├── OptionsError  options that make no sense, alone or together
└── ModelError    a checkpoint is missing, altered or does not fit
"""

from __future__ import annotations

import errno
import os
import re
import sys
from typing import Self


class WamError(Exception):
    """Anything the toolkit refuses to do; the message is one line for a person."""


class ImageError(WamError):
    """A picture file cannot be read, marked or written; the message starts with its name."""

    @classmethod
    def about(cls, name: str | os.PathLike[str], *, expected: str, found: str, remedy: str) -> Self:
        """The error as `NAME: expected ..., found ..., REMEDY`, always one line."""
        return cls(f"{show_name(name)}: expected {expected}, found {show_name(found)}, {remedy}")


class OptionsError(WamError, ValueError):
    """Options that make no sense, alone or together."""


class ModelError(WamError):
    """A checkpoint is missing, altered or does not fit this version."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error, or one that it was raised from, says that memory ran out, of this machine or of a device.

    Known by type: ``MemoryError``, the system's ENOMEM, and torch's error for CUDA. Torch has no type for the same on a
    CPU or on MPS: a ``RuntimeError`` says "can't allocate memory" or "out of memory" there, and only there is a text
    looked at.

    >>> is_out_of_memory(MemoryError()), is_out_of_memory(ValueError("out of memory"))
    (True, False)
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MemoryError) or (isinstance(cause, OSError) and cause.errno == errno.ENOMEM):
            return True
        torch = sys.modules.get("torch")  # an error of torch is only there where torch is, and it is slow to import
        if torch is not None and isinstance(cause, torch.cuda.OutOfMemoryError):
            return True
        text = str(cause) if isinstance(cause, RuntimeError) else ""
        if "allocate memory" in text or "out of memory" in text:
            return True
        cause = cause.__cause__
    return False


def show_name(name: str | os.PathLike[str]) -> str:
    r"""A file name, or a message, as one printable line without the passwords of URLs: line breaks and undecodable
    bytes are escaped.

    >>> show_name("two\nlines \udcff.png")
    'two\\nlines \\xff.png'
    """
    return "".join(_show_character(character) for character in mask_secrets(os.fspath(name)))


_URL = re.compile(r"[A-Za-z][\w+.:-]*://\S+")
# user:PASSWORD@ up to the last @, for a password may hold anything; digits alone before the path are a port
_PASSWORD = re.compile(r"(://[^\s/?#:@]*:)(?!\d*(?:[/?#]|$))\S*(?=@)")
_QUERY_SECRET = re.compile(
    r"([?&;][^=&;#\s]*(?:pass|pwd|secret|token|sig|credential|auth|key)[^=&;#\s]*=)[^&;#\s]*", re.IGNORECASE
)


def mask_secrets(text: str) -> str:
    """The same text with what URLs in it say in confidence masked: passwords, and values of the query that sign or
    authenticate. For all that is printed or stored.

    >>> mask_secrets("s3://a/b.png and ftp://me:pa/s@s@host:21/x.png")
    's3://a/b.png and ftp://me:***@host:21/x.png'
    >>> mask_secrets("https://host:80/a@b.png?size=2&X-Amz-Signature=1f")
    'https://host:80/a@b.png?size=2&X-Amz-Signature=***'
    """
    return _URL.sub(lambda url: _QUERY_SECRET.sub(r"\1***", _PASSWORD.sub(r"\1***", url[0])), text)


def _show_character(character: str) -> str:
    if character.isprintable():
        return character
    if "\udc80" <= character <= "\udcff":  # a byte that Python could not decode (PEP 383)
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")
