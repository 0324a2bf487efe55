"""The way back from a copy to the manifest that was signed for it: by its marks, or else by what it looks like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from payload import hash_rgb
from payload.phash import PHASH_BITS
from payload.registry import Registry
from payload.registry.bands import PDQ_BITS, WITHIN
from payload.registry.manifests import Binding, Manifest
from wam.pictures.samples import Picture
from wam.pipeline.read import Findings, value_of, words_of
from wam.provenance.fingerprint import fingerprint, installed
from wam.provenance.manifest_state import ManifestState, read_store
from wam.signal.specification import SIGNAL

Way = Literal["mark", "fingerprint"]

PHASH_WITHIN = 6  # bits of 64, where PDQ is not installed: two times 64 random bits are as near once in 2 * 10^11


@dataclass(frozen=True)
class Recovered:
    """A manifest that leads back from a picture. ``way`` it was found; ``similarity`` 0 to 100, 100 for a mark;
    ``log10_p`` of the chance of such a mark without one; ``value`` of the mark; ``registry`` that kept it."""

    manifest: Manifest
    way: Way
    similarity: int
    registry: str
    log10_p: float | None = None
    value: bytes | None = None

    @property
    def state(self) -> ManifestState:
        """What the manifest says, of no file: its hashes of one are not looked at."""
        return read_store(self.manifest.store)


def recover(picture: Picture, findings: Findings, registries: Sequence[Registry]) -> list[Recovered]:
    """Manifests kept in the registries for the picture's marks, the surest mark first; where no mark leads to one,
    those of pictures that look alike, the most alike first."""
    return kept_for(findings, registries) or _alike(picture, registries)


def kept_for(findings: Findings, registries: Sequence[Registry]) -> list[Recovered]:
    """Manifests that name a mark of the picture by algorithm and value, the surest mark first."""
    found: dict[str, Recovered] = {}
    for reading in sorted(findings.readings, key=lambda one: one.log10_p):
        values = [value_of(word) for word in words_of(reading)]
        for registry in registries:
            for id in registry.manifests.bound_to([Binding(SIGNAL.name, value) for value in values]):
                manifest = registry.manifests.find(id)
                if manifest is not None and _agrees(manifest, values):
                    value = values[0] if len(values) == 1 else None
                    one = Recovered(manifest, "mark", 100, registry.name, reading.log10_p, value)
                    found.setdefault(id, one)
    return list(found.values())


def _agrees(manifest: Manifest, values: Sequence[bytes]) -> bool:
    """Whether a manifest itself names one of the values, whatever it was entered under; where there is no library to
    read it, the registry's word is taken."""
    state = read_store(manifest.store)
    return state.state == "unread" or not set(state.own_values).isdisjoint(values)


def _alike(picture: Picture, registries: Sequence[Registry]) -> list[Recovered]:
    pdq, phash = fingerprint(picture.pixels), hash_rgb(picture.pixels)
    if pdq is None and installed():  # it shows too little for either
        return []
    found: dict[str, Recovered] = {}
    for registry in registries:
        manifests = registry.manifests
        if pdq is not None:
            alike, bits = manifests.similar(pdq=pdq, within=WITHIN), PDQ_BITS
        else:
            alike, bits = manifests.similar(phash=phash, within=PHASH_WITHIN), PHASH_BITS
        for one in alike:
            manifest = manifests.find(one.id)
            if manifest is not None:
                similarity = round(100 * (1 - one.bits / bits))
                found.setdefault(one.id, Recovered(manifest, "fingerprint", similarity, registry.name))
    return sorted(found.values(), key=lambda one: -one.similarity)
