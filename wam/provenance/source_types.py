"""The IPTC's digital source types: what a picture is, by name or URI, and which of them say that a model made it."""

from __future__ import annotations

from collections.abc import Iterable

from wam.errors import OptionsError, show_name

PREFIX = "http://cv.iptc.org/newscodes/digitalsourcetype/"
SOURCE_TYPES = (
    "trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia", "algorithmicMedia", "algorithmicallyEnhanced",
    "compositeSynthetic", "composite", "compositeCapture", "digitalCapture", "computationalCapture", "digitalCreation",
    "dataDrivenMedia", "humanEdits", "negativeFilm", "positiveFilm", "print", "screenCapture", "virtualRecording",
)  # fmt: skip
"""Names in the IPTC's list."""
GENERATED = PREFIX + "trainedAlgorithmicMedia"
GENERATED_KINDS = frozenset(
    {"trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia", "algorithmicMedia", "compositeSynthetic"}
)
"""Of pictures that a model made, wholly or in part."""
TAKEN_KINDS = frozenset(
    {"digitalCapture", "computationalCapture", "negativeFilm", "positiveFilm", "print", "compositeCapture"}
    | {"humanEdits", "minorHumanEdits", "digitalCreation", "digitalArt", "screenCapture"}
)
"""Of pictures that a camera took or a person made."""

_MARK = "digitalsourcetype/"


def source_type_of(name: str) -> str:
    """The URI of a source type, by its name or as it is; raises ``OptionsError`` for any other."""
    found = name.removeprefix(PREFIX)
    if found not in SOURCE_TYPES:
        raise OptionsError(
            f"source type: expected one of {', '.join(SOURCE_TYPES)}, found {show_name(name)}; choose one"
        )
    return PREFIX + found


def kinds(uris: Iterable[str]) -> frozenset[str]:
    """Source types by name, of URIs with http or https; others are left out.

    >>> kinds([GENERATED, "https://cv.iptc.org/newscodes/digitalsourcetype/print", "x"]) == {"print", GENERATED[47:]}
    True
    """
    return frozenset(uri.rpartition(_MARK)[2] for uri in uris if _MARK in uri)
