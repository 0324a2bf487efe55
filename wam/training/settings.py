"""Everything that decides the outcome of a training run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from wam.signal.specification import HIGHEST, LOWEST, PER_BIT, SIGNAL, WORKING_SIDE, Signal


@dataclass(frozen=True)
class Settings:
    """Stored in the run's state. From ``lowest`` on: design choices that ``scripts/ablate.py`` varies."""

    photos: str
    channels: int = 80
    deep: int = 128  # channels at half the resolution of features; 0: a plain stack, as up to version 0.3
    blocks: int = 3  # of a plain stack, or on each side of a U-Net
    deep_blocks: int = 4
    small: str = ""  # "CHANNELS,DEEP,BLOCKS,DEEP_BLOCKS" of a second U-Net, which learns from the first on its scenes
    frozen: bool = False  # True: the first extractor only teaches the second, neither it nor the embedder learns
    distilled: float = 0.7  # share of the second's target that is the first's estimate, the rest is the truth
    batch: int = 16
    steps: int = 20000
    decay_from: int = 15000
    joint_from: int = 6000  # step from which the gain map learns; beyond the last one: never
    rate: float = 5e-4  # 1e-3 is faster for 1,000 steps, then diverges
    random_keys: float = 0.5
    random_tilts: float = 0.5  # share of batches whose pattern's amplitudes grow with the frequency
    seed: int = 0
    lowest: float = LOWEST
    highest: float = HIGHEST
    per_bit: int = PER_BIT
    tilt: float = 0.0
    working_side: int = WORKING_SIDE  # pixels: short side of the photo that the pattern is made for
    bit_weight: float = 0.05  # of the bits' cross-entropy
    level: float = 0.0  # of difficulty, 0 to 1, at the start
    curriculum: bool = True  # False: the level stays
    learned_gain: bool = True  # False: plain just-noticeable difference
    high_pass: bool = True  # False: the extractor does not see the normalised residual

    def __post_init__(self) -> None:
        if not 0 <= self.level <= 1:
            raise ValueError(f"level: expected 0 to 1, found {self.level}; change it")
        if not 64 <= self.working_side <= 512:
            raise ValueError(f"working side: expected 64 to 512 pixels, found {self.working_side}; change it")
        if not 0 <= self.distilled <= 1:
            raise ValueError(f"distilled: expected 0 to 1, found {self.distilled}; change it")
        if self.frozen and not self.small:
            raise ValueError("frozen: expected a small extractor that learns, found none; give --small as well")
        _ = self.signal, self.small_shape

    @classmethod
    def stored(cls, values: Mapping[str, Any]) -> Settings:
        """As a run's state has them; those of 0.3 and before trained a plain stack and did not say so."""
        return cls(**{"deep": 0, **values})

    @property
    def shape(self) -> dict[str, int]:
        """Of the extractor, for ``wam.models.checkpoints.build_extractor``."""
        shape = {"channels": self.channels, "blocks": self.blocks}
        return {**shape, "deep": self.deep, "deep_blocks": self.deep_blocks} if self.deep else shape

    @property
    def small_shape(self) -> dict[str, int] | None:
        """Of the second extractor; None where there is none."""
        if not self.small:
            return None
        try:
            channels, deep, blocks, deep_blocks = (int(part) for part in self.small.split(","))
        except ValueError:
            raise ValueError(f"small: expected four numbers as in 64,128,2,4, found {self.small}; change it") from None
        return {"channels": channels, "deep": deep, "blocks": blocks, "deep_blocks": deep_blocks}

    def shaped_as(self, shape: Mapping[str, int]) -> Settings:
        """The same with the extractor of another shape."""
        values: dict[str, Any] = {"deep": 0, **shape}
        return replace(self, **values)

    @property
    def signal(self) -> Signal:
        """What is trained for; raises ``ValueError`` where there is none such."""
        band = (self.lowest, self.highest)
        return Signal.of(band=band, per_bit=self.per_bit, working_side=self.working_side, tilt=self.tilt)

    @property
    def usual(self) -> bool:
        """Whether the toolkit could read with the outcome: another carrier or working resolution is an experiment."""
        return self.signal == SIGNAL

    def joint(self, step: int) -> bool:
        """Whether the gain map learns at a step."""
        return self.learned_gain and not self.frozen and step >= self.joint_from
