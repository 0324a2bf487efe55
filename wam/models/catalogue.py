"""What there is to load, and where: apart from what it takes to load it, so that lists need not wait for torch."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from wam.signal.specification import SIGNAL

DEFAULT = "lattice32"
META_LICENCES = {"wam_mit": "MIT", "wam_coco": "CC-BY-NC"}  # of Meta's published weights, by the name of their file


@dataclass(frozen=True)
class Known:
    """A checkpoint that ships with the package: one of several extractors, say, for one ``signal``.

    ``sha256`` hex digest of its file; ``signal`` by its name, and ``size``, for people: small or large.
    """

    file: str
    sha256: str
    licence: str
    signal: str
    size: str


KNOWN = {
    DEFAULT: Known(
        file="lattice32.safetensors",
        sha256="5d36c822185c9f149c28cf7c7f13775b81a51ff6f0ee233156697e6a7b202e2a",
        licence="MIT",
        signal=SIGNAL.name,
        size="small",
    ),
}


def shipped(file: str) -> Path:
    """Path of a packaged checkpoint: inside the installed package, or in ``checkpoints/`` of a source tree."""
    packaged = Path(str(resources.files("wam"))) / "weights" / file
    return packaged if packaged.exists() else Path(str(resources.files("wam"))).parent / "checkpoints" / file
