"""Errors of the payload package.

    PayloadError
    ├── RecordTooLongError       a record does not fit into the marks that a picture has room for
    └── RegistryError            the registry cannot be reached, read or written as asked
        ├── ImportFileError      an export cannot be read, or does not go with this registry
        ├── UnknownLinkError     no entry belongs to this link
        └── RegistryFullError    every id of this registry has been allocated

Bad arguments (a malformed link, an empty owner) are plain ``ValueError``s.
"""

from __future__ import annotations


class PayloadError(Exception):
    """Base of every error of this package that is not a bad argument."""


class RecordTooLongError(PayloadError):
    """A record does not fit into the marks that a picture has room for."""


class RegistryError(PayloadError):
    """The registry cannot be reached, read or written as asked."""


class ImportFileError(RegistryError):
    """An export cannot be read, or does not go with this registry; names the file and the line."""


class UnknownLinkError(RegistryError):
    """No entry of this registry belongs to the link."""


class RegistryFullError(RegistryError):
    """Every id of this registry has been allocated; ids are never reused."""
