"""Manifests that a registry keeps, found by the marks that they name or by what their pictures look like.

No torch here: the process of a service imports it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from payload.phash import PHASH_BITS
from payload.registry.pdq import PDQ_BITS, WITHIN
from wam.provenance.fingerprint import installed
from wam.provenance.manifest_state import read_store
from wam.provenance.soft_value import EXACT, MarkName, asked_match, entered, named
from wam.signal.specification import SIGNAL

if TYPE_CHECKING:
    from payload.registry import Registry
    from payload.registry.manifests import Manifest

Way = Literal["mark", "fingerprint"]
Agreement = Callable[[Collection[bytes]], int]  # how surely one of a manifest's values is what is looked for

PHASH_WITHIN = 6  # bits of 64, where PDQ is not installed: two times 64 random bits are as near once in 2 * 10^11
PDQ_NAME, PHASH_NAME = "wam-pdq-1", "wam-phash-1"  # what the fingerprints are called as algorithms
MOST_ALIKE = 99  # of a fingerprint: what looks the same is no proof, as a mark is


@dataclass(frozen=True)
class Kept:
    """A manifest, the ``way`` it was found, and how sure that is: 100 for the whole name of a mark, 50 for its word,
    up to 99 for the share of a fingerprint's bits that agree."""

    manifest: Manifest
    way: Way
    similarity: int


def naming(registry: Registry, names: Sequence[MarkName], *, most: int | None = None) -> list[Kept]:
    """Manifests that name one of the marks of this toolkit, those that name all of it first, then the newest. Whatever
    one was entered under, it counts only by what it says itself; where there is no library to read it, by what it was
    entered under."""

    def agreement(values: Iterable[bytes]) -> int:
        return max((name.match(value) for value in values for name in names), default=0)

    return _naming(registry, SIGNAL.name, [name.value for name in names], agreement, most)


def with_value(registry: Registry, algorithm: str, asked: bytes, *, most: int | None = None) -> list[Kept]:
    """Manifests that name a value of any algorithm; of this toolkit's, a word alone asks for all its generations."""
    if algorithm == SIGNAL.name:
        return _naming(registry, algorithm, [asked], lambda values: _best(asked, values), most)
    return _naming(registry, algorithm, [asked], lambda values: EXACT if asked in values else 0, most)


def alike(registry: Registry, *, pdq: int | None, phash: int | None, most: int | None = None) -> list[Kept]:
    """Manifests of pictures that look alike, ``most`` of them, the most alike first: by PDQ, or else by the registry's
    own hash."""
    manifests = registry.manifests
    if pdq is not None:
        found, bits = manifests.similar(pdq=pdq, within=WITHIN), PDQ_BITS
    elif installed():  # it shows too little for either
        return []
    else:
        found, bits = manifests.similar(phash=phash, within=PHASH_WITHIN), PHASH_BITS
    kept = ((manifests.find(one.id), round(100 * (1 - one.bits / bits))) for one in found[:most])
    return [Kept(one, "fingerprint", min(MOST_ALIKE, similarity)) for one, similarity in kept if one is not None]


def _best(asked: bytes, values: Iterable[bytes]) -> int:
    return max((asked_match(asked, value) for value in values), default=0)


def _naming(
    registry: Registry, algorithm: str, values: Sequence[bytes], agreement: Agreement, most: int | None
) -> list[Kept]:
    sought = entered(values) if algorithm == SIGNAL.name else values
    found: list[Kept] = []
    from payload.registry.manifests import Binding  # with SQLAlchemy, which reading without a registry does not need

    for id in registry.manifests.bound_to([Binding(algorithm, value) for value in sought]):
        manifest = registry.manifests.find(id)
        sure = 0 if manifest is None else agreement(_values(registry, manifest, algorithm))
        if manifest is not None and sure:
            found.append(Kept(manifest, "mark", sure))
        if most is not None and sum(one.similarity == EXACT for one in found) >= most:
            break
    return sorted(found, key=lambda one: -one.similarity)[:most]


def _values(registry: Registry, manifest: Manifest, algorithm: str) -> Collection[bytes]:
    """What a manifest names of an algorithm: as it says itself, or as it was entered where no library here reads it."""
    state = read_store(manifest.store)
    if state.state == "unread":
        entries = registry.manifests.values_of(manifest.id, algorithm)
        return named(entries) if algorithm == SIGNAL.name else entries
    return [one.value for one in state.bindings if one.algorithm == algorithm]
