"""The way back from a copy to the manifest that was signed for it: by its marks, or else by what it looks like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from payload import hash_rgb
from payload.registry import Registry
from payload.registry.manifests import Manifest
from wam.pictures.samples import Picture
from wam.pipeline.kept_manifests import Way, alike, naming
from wam.pipeline.read import Findings, may_lead, names_of
from wam.provenance.fingerprint import fingerprint
from wam.provenance.manifest_state import ManifestState, read_store


@dataclass(frozen=True)
class Recovered:
    """A manifest that leads back from a picture. ``way`` it was found; ``similarity`` 0 to 100: 100 for a mark, 50
    where the manifest names its word and not its generation, 99 at most for a fingerprint; ``log10_p`` of the chance of
    such a mark without one; ``value`` of the mark; ``registry`` that kept it."""

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
    """Manifests that name a mark of the picture by algorithm and value, those that name all of it first, then the
    surest mark; none by a word whose record is not named."""
    found: dict[str, Recovered] = {}
    for reading in sorted(filter(may_lead, findings.readings), key=lambda one: one.log10_p):
        names = names_of(reading)
        value = names[0].value if len(names) == 1 else None
        for registry in registries:
            for one in naming(registry, names):
                recovered = Recovered(one.manifest, one.way, one.similarity, registry.name, reading.log10_p, value)
                found.setdefault(one.manifest.id, recovered)
    return sorted(found.values(), key=lambda one: -one.similarity)


def _alike(picture: Picture, registries: Sequence[Registry]) -> list[Recovered]:
    pdq, phash = fingerprint(picture.pixels), hash_rgb(picture.pixels)
    found: dict[str, Recovered] = {}
    for registry in registries:
        for one in alike(registry, pdq=pdq, phash=phash):
            found.setdefault(one.manifest.id, Recovered(one.manifest, one.way, one.similarity, registry.name))
    return sorted(found.values(), key=lambda one: -one.similarity)
