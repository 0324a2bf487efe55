"""The multi-mark scenes of the protocol by name: built from marked pictures, then attacked, with their ground truth.

>>> parse_recipe("multi_jpeg=3")
multi_jpeg=3
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from attacks.base import UnknownAttackError
from attacks.registry import parse
from attacks.scenes import Scene, collage_scene, regions_scene

AREA = 0.1  # share of the picture that each mark of a ``multi`` scene covers
MOST = 9  # marks that a scene can be asked for; ten regions of a tenth would have to be a perfect tiling

_AFTER = {
    "multi": "identity",
    "multi_flip": "hflip,contrast=1.5",
    "multi_jpeg": "jpeg=80",
    "composite": "jpeg=85",
    "composite_turned": "jpeg=85",
}
_ANGLES = {"composite": (0.0, 10.0), "composite_turned": (0.0, 360.0)}  # of pasted photos, degrees


@dataclass(frozen=True, repr=False)
class Recipe:
    """A scene of the protocol with ``count`` marks; ``parse_recipe`` turns its ``repr`` back into the same recipe."""

    name: str
    count: int

    def __post_init__(self) -> None:
        if self.name not in _AFTER:
            raise UnknownAttackError(f"expected a scene, found {self.name!r}; known: {', '.join(_AFTER)}")
        if not 1 <= self.count <= MOST:
            raise ValueError(f"{self.name}: expected 1 to {MOST} marks, as in {self.name}=3; found {self.count}")

    @property
    def group(self) -> str:
        """The group of the protocol."""
        return "multi"

    @property
    def pasted(self) -> bool:
        """Whether the parts are whole marked photos on a background, else regions of one picture."""
        return self.name in _ANGLES

    def __repr__(self) -> str:
        return f"{self.name}={self.count}"


def recipe_names() -> tuple[str, ...]:
    """All names that ``parse_recipe`` knows."""
    return tuple(_AFTER)


def parse_recipe(text: str) -> Recipe:
    """Read a scene, ``name=marks``.

    >>> parse_recipe("composite=2").pasted
    True
    """
    name, _, number = text.strip().partition("=")
    if name in _AFTER and not number.isdecimal():
        raise ValueError(f"{name}: expected a number of marks, as in {name}=3; found {number or 'none'}")
    return Recipe(name, int(number) if number else 0)


def composite(
    recipe: Recipe | str,
    marked: Sequence[Tensor],
    background: Tensor,
    *,
    generator: torch.Generator | None = None,
) -> Scene:
    """Build a multi-mark scene of the protocol: (3, H, W) float in [0, 1] and a binary mask for each mark.

    ``multi=n``: ``marked`` are n or more versions of the picture ``background``, each with its own mark; n rectangles
    of a tenth of the area show one version each. ``multi_flip``, ``multi_jpeg``: then mirrored with contrast 1.5, or as
    JPEG 80. ``composite=k``: ``marked`` are k marked photos; they are scaled by .4 to 1, turned by 0 to 10 degrees,
    pasted side by side on ``background`` and saved as JPEG 85. ``composite_turned=k``: the same, turned by any angle.
    Placements are those before what follows. Raises ``ValueError`` if the parts find no room.
    """
    recipe = parse_recipe(recipe) if isinstance(recipe, str) else recipe
    if len(marked) < recipe.count:
        raise ValueError(f"{recipe}: expected {recipe.count} marked pictures, found {len(marked)}; mark more")
    parts = list(marked[: recipe.count])
    if recipe.pasted:
        angles = _ANGLES[recipe.name]
        scene = collage_scene(parts, background, rotation_range=angles, generator=generator)
    else:
        scene = regions_scene(parts, background, count=recipe.count, area=AREA, generator=generator)
    after = parse(_AFTER[recipe.name])
    result = after(scene.image[None], scene.masks[None], generator=generator)
    assert result.masks is not None
    return Scene(result.images[0], result.masks[0], scene.placements)
