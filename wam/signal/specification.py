"""What a mark is made of, but for key and message: numbers that embedder, extractor and detection have to agree on.

A checkpoint states its ``Signal``, and is refused where this code builds another; content credentials call it by its
``name``. No torch here, and NumPy late: who only asks for a size or a name does not wait for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WORKING_SIDE = 256  # pixels: short side at which the pattern is made; smaller pictures are marked as they are
LEVEL_RATIO = 1.6  # between the short sides that finer patterns are made at, and that detection looks from
TILE = 32  # working pixels per period
BITS = 32  # message length
LOWEST = 3.0  # cycles per tile: below it photos are strongest and eyes most sensitive
HIGHEST = 10.3  # cycles per tile, .32 cycles per working pixel: above it thumbnails and JPEG erase the pattern
PER_BIT = 4  # frequencies that carry each bit, one from each ring of radii; all others are the pilot, of known phase
EXPERIMENT = 0  # version of signals that no checkpoint may have
VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Signal:
    """A signal; of version ``VERSION`` there is one, and all else is an ``EXPERIMENT``: see ``Signal.of``.

    ``tile`` working pixels per period; ``band`` lowest and highest frequency in cycles per tile; ``per_bit``
    frequencies of each of the ``bits``, all others are the pilot; ``working_side`` short side in pixels at which the
    pattern is made; ``tilt``: amplitudes grow with the frequency to this power, at the same total power. Raises
    ``ValueError`` for what this code cannot build.
    """

    version: int = VERSION
    tile: int = TILE
    band: tuple[float, float] = (LOWEST, HIGHEST)
    per_bit: int = PER_BIT
    bits: int = BITS
    working_side: int = WORKING_SIDE
    tilt: float = 0.0

    def __post_init__(self) -> None:
        if self.version not in (EXPERIMENT, VERSION):
            raise ValueError(f"expected signal version {VERSION}, found {self.version}; update the package")
        if self.version == VERSION and not self._is_product():
            found = ", ".join(f"{name} {value}" for name, value in asdict(self).items())
            raise ValueError(
                f"expected the values of signal version {VERSION}, found {found}; experiments have version {EXPERIMENT}"
            )
        if self._is_product():
            return
        if (self.tile, self.bits) != (TILE, BITS):
            raise ValueError(
                f"signal: expected a tile of {TILE} and {BITS} bits, found {self.tile} and {self.bits}; leave them"
            )
        lowest, highest = self.band
        if not 0 < lowest < highest < TILE / 2:
            raise ValueError(
                f"carrier band: expected 0 < lowest < highest < {TILE // 2} cycles per tile, found {lowest} to"
                f" {highest}; change the band"
            )
        count = len(lattice_frequencies(self.band))
        if not BITS <= self.per_bit * BITS < count:
            raise ValueError(
                f"carrier: expected at least 1 frequency for each of {BITS} bits and 1 for the pilot, found {count}"
                f" with {self.per_bit} for each bit; widen the band or change the number for each bit"
            )

    def _is_product(self) -> bool:
        """Whether all values but the version are those that the class has by itself."""
        return all(getattr(self, one.name) == one.default for one in fields(self) if one.name != "version")

    @classmethod
    def of(cls, **values: Any) -> Signal:
        """The signal of these values, the product's where they are left out; an experiment where one is another."""
        trial = cls(version=EXPERIMENT, **values)
        return replace(trial, version=VERSION) if trial._is_product() else trial

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Signal:
        """A signal as ``to_dict`` gives it; raises ``ValueError`` for anything else."""
        known = {one.name for one in fields(cls)}
        version = values.get("version")
        if version != VERSION:
            raise ValueError(f"expected signal version {VERSION}, found {version}; update the package")
        if values.keys() != known:
            raise ValueError(f"expected a signal of {', '.join(sorted(known))}, found {', '.join(sorted(values))}")
        return cls(**{**values, "band": tuple(values["band"])})

    def to_dict(self) -> dict[str, Any]:
        """For JSON: numbers, and the band as a list of two."""
        return {**asdict(self), "band": list(self.band)}

    @property
    def name(self) -> str:
        """What content credentials call the algorithm, as ``wam-lattice-1``."""
        return f"wam-lattice-{self.version}" if self.version != EXPERIMENT else "wam-lattice-experiment"


def lattice_frequencies(band: tuple[float, float] = (LOWEST, HIGHEST)) -> NDArray[np.int64]:
    """All carrier frequencies in the upper half plane, (K, 2) int (kx, ky) in cycles per tile, by radius."""
    import numpy as np

    lowest, highest = band
    reach = range(-int(highest), int(highest) + 1)
    half_plane = [(kx, ky) for ky in reach for kx in reach if ky > 0 or (ky == 0 and kx > 0)]
    within = [k for k in half_plane if lowest <= float(np.hypot(*k)) <= highest]
    return np.array(sorted(within, key=lambda k: (np.hypot(*k), k)), dtype=np.int64)


SIGNAL = Signal()
