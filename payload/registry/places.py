"""Where registries are, as a person names them. No database here: who has no registry need not wait for SQLAlchemy."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import platformdirs

from payload.errors import RegistryError

ENVIRONMENT_VARIABLE = "WAM_REGISTRY"
SEPARATOR = "|"  # between the registries of a list


def listed(urls: Sequence[str] | None = None) -> list[str | None]:
    """The registries that are looked records up in, in order: those given, those that ``WAM_REGISTRY`` lists, or None
    for the user's own.

    The list is separated by ``|``, which is in no URL and in no file name of Windows, and which blanks may surround; a
    file whose name has one is taken for what it is.
    """
    if urls:
        return list(urls)
    value = os.environ.get(ENVIRONMENT_VARIABLE)
    if not value:
        return [None]
    if "://" not in value and Path(value).expanduser().exists():
        return [value]
    places = [place for place in (part.strip() for part in value.split(SEPARATOR)) if place]
    if not places:
        raise RegistryError(f"{ENVIRONMENT_VARIABLE}: expected registries with {SEPARATOR} between, found {value!r}")
    return [*places]


def default_path() -> Path:
    """The registry file in the user's data directory."""
    return platformdirs.user_data_path("wam") / "registry.sqlite"


def none_made(urls: Sequence[str] | None = None) -> bool:
    """Whether the only registry that is listed is the user's own, and it was never made."""
    return listed(urls) == [None] and not default_path().exists()
