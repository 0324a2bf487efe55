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

    ``sha256`` hex digest of its file; ``signal`` by its name, and ``size``, for people: small or large; ``earlier``:
    digests of files of earlier versions with the same networks, which were calibrated for an earlier search.
    """

    file: str
    sha256: str
    licence: str
    signal: str
    size: str
    earlier: tuple[str, ...] = ()


KNOWN = {
    DEFAULT: Known(
        file="lattice32.safetensors",
        sha256="e47c9c4e8e71c8090f3a250dc4194bfb30651ebddeb54ab9a3caf0ba1f94724a",
        licence="MIT",
        signal=SIGNAL.name,
        size="small",
    ),
    "lattice32-0.2": Known(  # the same extractor, and marks as versions up to 0.2.0 made them
        file="lattice32-0.2.safetensors",
        sha256="54e3b629a5382f29224ce7eb4a9e1be8c011af90204dc7fa209984eb6c4c13a7",
        licence="MIT",
        signal=SIGNAL.name,
        size="small",
        earlier=(
            "b4f631c7dcaa08c71c56565b0414afc0425eb16f3b636ac0c8254d27dcc2c2ca",  # 0.2.0
            "5d36c822185c9f149c28cf7c7f13775b81a51ff6f0ee233156697e6a7b202e2a",  # 0.3.0 before its search was rewritten
        ),
    ),
}


def shipped(file: str) -> Path:
    """Path of a packaged checkpoint: inside the installed package, or in ``checkpoints/`` of a source tree."""
    packaged = Path(str(resources.files("wam"))) / "weights" / file
    return packaged if packaged.exists() else Path(str(resources.files("wam"))).parent / "checkpoints" / file
